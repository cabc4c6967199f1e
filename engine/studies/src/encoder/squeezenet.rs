//! SqueezeNet 1.1 (Iandola et al. 2016, arXiv 1602.07360) as trained on ImageNet, up to its last fire module: what
//! photographs are compared by.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::{Tensor, activation::relu};

use engine::model::{Builder, Mode, ModelError};
use engine::tape::{Traced, trace};

use super::{Form, NET, pictures, unit_rows};

/// The file of its parameters, below the folder of packs.
pub const FILE: &str = "squeezenet.bin";
/// What it is and whose.
pub const TITLE: &str = "SqueezeNet 1.1 (Iandola et al. 2016) as trained on ImageNet; BSD 2-Clause";
/// What it sees: RGB, a size at which a picture takes some hundredths of a second in the browser.
pub const SHAPE: [usize; 3] = [3, 96, 96];
/// What it makes of them. A person's pictures come one at a time, so few are encoded at once.
pub const FORM: Form = Form { size: 3 * 96 * 96, dims: 512, batch: 4 };
/// Fire modules: channels in the squeeze, and in each half of what follows it.
const FIRES: [[usize; 2]; 8] = [[16, 64], [16, 64], [32, 128], [32, 128], [48, 192], [48, 192], [64, 256], [64, 256]];
/// Fire modules before which the picture shrinks.
const SHRUNK: [usize; 3] = [0, 2, 4];

/// A layer of few channels, then one of 1 x 1 beside one of 3 x 3.
#[derive(Module, Debug)]
struct Fire {
    squeeze: Conv2d,
    narrow: Conv2d,
    wide: Conv2d,
}

impl Fire {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = relu(self.squeeze.forward(x));
        Tensor::cat(vec![relu(self.narrow.forward(x.clone())), relu(self.wide.forward(x))], 1)
    }
}

#[derive(Module, Debug)]
struct SqueezeNet {
    stem: Conv2d,
    fires: Vec<Fire>,
    pool: MaxPool2d,
}

impl SqueezeNet {
    fn new(builder: &mut Builder) -> Self {
        let stem = builder.conv2d([SHAPE[0], 64], 3, 2, 0, true);
        let mut channels = 64;
        let mut fire = |[few, half]: [usize; 2]| {
            let squeeze = builder.conv2d([channels, few], 1, 1, 0, true);
            channels = 2 * half;
            let narrow = builder.conv2d([few, half], 1, 1, 0, true);
            Fire { squeeze, narrow, wide: builder.conv2d([few, half], 3, 1, 1, true) }
        };
        let fires = FIRES.map(&mut fire).into();
        SqueezeNet { stem, fires, pool: MaxPool2dConfig::new([3, 3]).with_strides([2, 2]).init() }
    }

    /// `[N, 3, 96, 96]`, 0..=1, to `[N, 512]`: means over places, as square roots of length 1, in which few large features
    /// do not decide alone (the power transform of Hu et al. 2021, arXiv 2006.03806).
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let mut x = relu(self.stem.forward(x));
        for (place, fire) in self.fires.iter().enumerate() {
            if SHRUNK.contains(&place) {
                x = self.pool.forward(x);
            }
            x = fire.forward(x);
        }
        let means: Tensor<2> = x.flatten::<3>(2, 3).mean_dim(2).flatten(1, 2);
        unit_rows(means.sqrt())
    }
}

/// A step that encodes pictures, for [`embed`](super::embed).
///
/// # Errors
/// As [`trace`].
pub fn embedding_step() -> Result<Traced, ModelError> {
    trace("embed", Mode::Eval, |tape| {
        let x = pictures(tape, FORM.batch, SHAPE);
        let net = tape.net(NET, SqueezeNet::new);
        tape.fetch("vectors", &net.forward(x));
        Ok(())
    })
}
