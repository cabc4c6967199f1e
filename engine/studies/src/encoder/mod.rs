//! A small convolutional encoder of pictures, and what is done with one that stands still: pictures become vectors once, and
//! vectors are kept. Shared by the few-shot lab, its studies, and whatever learns from frozen features.

mod cache;
pub mod squeezenet;
mod weights;

pub use cache::Cache;
pub use weights::{read_weights, write_weights};

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, activation::relu};

use engine::executor::AnyExecutor;
use engine::model::{Builder, Init, Mode, ModelError};
use engine::tape::{Play, PlayError, StepId, Tape, Traced, Words, trace};

/// Numbers of a vector.
pub const DIMS: usize = 64;
/// Pictures that are encoded at once.
pub const BATCH: usize = 64;
/// The net's name in a play.
pub const NET: &str = "encoder";

/// Three convolutions of stride 2, and a linear layer.
#[derive(Module, Debug)]
pub struct ConvEncoder {
    convolutions: Vec<Conv2d>,
    head: Linear,
}

impl ConvEncoder {
    /// The lab's, of pictures of that shape: channels, height, width.
    pub fn new(builder: &mut Builder, shape: [usize; 3]) -> Self {
        Self::sized(builder, shape, [32, 32, 64], DIMS)
    }

    /// One with so many channels after each convolution, and so many numbers in a vector.
    pub fn sized(
        builder: &mut Builder,
        [channels, height, width]: [usize; 3],
        [first, second, third]: [usize; 3],
        dims: usize,
    ) -> Self {
        let widths = [channels, first, second, third];
        let features = third * height.div_ceil(8) * width.div_ceil(8);
        ConvEncoder {
            convolutions: widths.windows(2).map(|w| builder.conv2d([w[0], w[1]], 3, 2, 1, true)).collect(),
            head: builder.linear(features, dims, true, Init::linear_normal(features)),
        }
    }

    /// `[N, channels, height, width]`, 0..=1, to `[N, dims]`.
    pub fn forward(&self, mut x: Tensor<4>) -> Tensor<2> {
        for convolution in &self.convolutions {
            x = relu(convolution.forward(x));
        }
        self.head.forward(x.flatten(1, 3))
    }
}

/// Pictures that the host gives, 0..=1: `[count, channels, height, width]`.
pub fn pictures(tape: &mut Tape, count: usize, [channels, height, width]: [usize; 3]) -> Tensor<4> {
    tape.input("pictures", [count, channels, height, width])
}

/// How a step encodes pictures.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Numbers of a picture.
    pub size: usize,
    /// Numbers of its vector.
    pub dims: usize,
    /// Pictures that are encoded at once.
    pub batch: usize,
}

impl Form {
    /// A [`ConvEncoder`]'s, of pictures of so many numbers.
    #[must_use]
    pub const fn convolutional(size: usize) -> Self {
        Self { size, dims: DIMS, batch: BATCH }
    }
}

/// A step that encodes [`BATCH`] pictures, for [`embed`].
///
/// # Errors
/// As [`trace`].
pub fn embedding_step(shape: [usize; 3]) -> Result<Traced, ModelError> {
    trace("embed", Mode::Eval, |tape| {
        let x = pictures(tape, BATCH, shape);
        let net = tape.net(NET, |builder| ConvEncoder::new(builder, shape));
        tape.fetch("vectors", &net.forward(x));
        Ok(())
    })
}

/// Vectors of pictures, `[N, dims]`. `pixels`: `[N, channels, height, width]`, 0..=255; `step`: one that encodes, in that
/// form, in the play whose net is to encode.
///
/// # Errors
/// The executor fails.
pub async fn embed(
    play: &mut Play<'_, AnyExecutor>,
    step: StepId,
    pixels: &[u8],
    form: Form,
) -> Result<Vec<f32>, PlayError> {
    let Form { size, dims, batch } = form;
    let mut vectors = Vec::with_capacity(pixels.len() / size.max(1) * dims);
    for pixels in pixels.chunks(batch * size) {
        let mut words = unit(pixels);
        words.resize(batch * size, 0.0);
        play.run(step, &[("pictures", Words::Numbers(&words))]).await?;
        let found = play.fetch(step, "vectors").await?;
        vectors.extend_from_slice(&found[..pixels.len() / size * dims]);
    }
    Ok(vectors)
}

/// Rows of length 1; one of zeros stays as it is.
#[must_use]
pub fn unit_rows(x: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = x.dims();
    let lengths = (x.clone().powf_scalar(2.0).sum_dim(1) + 1e-12).sqrt();
    x / lengths.expand([rows, columns])
}

/// Bytes as 0..=1.
#[must_use]
pub fn unit(pixels: &[u8]) -> Vec<f32> {
    pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect()
}

#[cfg(test)]
mod tests {
    use engine::cpu::CpuExecutor;
    use engine::tape::{Breathless, Home};

    use super::*;

    #[test]
    fn rows_get_length_one() {
        let traced = trace("unit", Mode::Eval, |tape| {
            let rows = unit_rows(tape.input("rows", [2, 2]));
            tape.fetch("rows", &rows);
            Ok(())
        });
        let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
        let mut play = Play::new(&home, Breathless, 1).unwrap();
        let rows = pollster::block_on(async {
            let step = play.add(traced.unwrap()).await?;
            play.run(step, &[("rows", Words::Numbers(&[3.0, 4.0, 0.0, 0.0]))]).await?;
            play.fetch(step, "rows").await
        });
        let rows = rows.unwrap();
        assert!((rows[0] - 0.6).abs() < 1e-6 && (rows[1] - 0.8).abs() < 1e-6 && rows[2] == 0.0);
    }
}
