//! Class means that clients send and a server merges: what each client met (increments), or, as in the published code, the
//! server's mean with what the client met already in it.

use engine::numeric::Matrix;

use crate::fewshot::ClassMean;

/// What a client tells of a class: 4 bytes for the class, each number of the mean, and the count.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Which class.
    pub class: usize,
    /// The mean.
    pub mean: Vec<f32>,
    /// How many examples it counts for.
    pub count: u32,
}

/// Bytes of a message about vectors of so many numbers.
pub const fn bytes(dims: usize) -> usize {
    4 * (dims + 2)
}

/// A prototype for each class known so far.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// By class.
    pub classes: Vec<ClassMean>,
    /// Bytes received.
    pub bytes: usize,
}

impl Server {
    /// What a client tells that has this server's prototypes and meets so many vectors of a class. `published`: the mean
    /// has the server's in it, which the server adds once more.
    pub fn message(&self, class: usize, met: &ClassMean, published: bool) -> Message {
        let mut told = match self.classes.get(class) {
            Some(known) if published => known.clone(),
            _ => ClassMean::default(),
        };
        told.merge(&met.mean, met.count);
        Message { class, mean: told.mean.iter().map(|&x| x as f32).collect(), count: met.count as u32 }
    }

    /// Merges messages in the order in which they come.
    pub fn receive(&mut self, messages: &[Message]) {
        for message in messages {
            if self.classes.len() <= message.class {
                self.classes.resize(message.class + 1, ClassMean::default());
            }
            let mean: Vec<f64> = message.mean.iter().map(|&x| f64::from(x)).collect();
            self.classes[message.class].merge(&mean, message.count as usize);
            self.bytes += bytes(mean.len());
        }
    }

    /// The prototypes as rows.
    pub fn prototypes(&self, dims: usize) -> Matrix {
        let values = self.classes.iter().flat_map(|class| class.mean.iter().copied()).collect();
        Matrix { rows: self.classes.len(), columns: dims, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(classes: &[(f64, usize)]) -> Server {
        let classes = classes.iter().map(|&(mean, count)| ClassMean { mean: vec![mean], count }).collect();
        Server { classes, bytes: 0 }
    }

    fn met(mean: f64, count: usize) -> ClassMean {
        ClassMean { mean: vec![mean], count }
    }

    /// The server has two examples at 0; a client meets one at 3.
    #[test]
    fn the_published_merge_counts_old_examples_twice() {
        for (published, told, merged) in [(false, 3.0, 1.0), (true, 1.0, 1.0 / 3.0)] {
            let mut server = server(&[(0.0, 2)]);
            let message = server.message(0, &met(3.0, 1), published);
            assert_eq!(message, Message { class: 0, mean: vec![told], count: 1 });
            server.receive(&[message]);
            assert_eq!(server.classes[0].count, 3);
            assert!((server.classes[0].mean[0] - merged).abs() < 1e-7);
        }
        // Of a class that the server does not know both say the same.
        let nothing = server(&[]);
        assert_eq!(nothing.message(0, &met(3.0, 1), true), nothing.message(0, &met(3.0, 1), false));
    }

    #[test]
    fn new_classes_leave_old_prototypes_as_they_are() {
        let mut server = server(&[(0.1, 3), (0.7, 9)]);
        let before = server.classes.clone();
        let message = server.message(2, &met(0.3, 5), false);
        server.receive(&[message]);
        assert_eq!(server.classes[..2], before[..]);
        assert_eq!(server.classes.len(), 3);
    }

    #[test]
    fn bytes_are_those_of_the_classes_sent() {
        let mut server = server(&[]);
        let messages = [0, 1, 4].map(|class| server.message(class, &met(1.0, 2), false));
        server.receive(&messages);
        assert_eq!(server.bytes, 3 * 4 * (1 + 2));
        assert_eq!(bytes(64), 264);
    }
}
