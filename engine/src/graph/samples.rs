//! Squared norms of single examples' gradients, without a gradient for each: for a layer `y = x W` the gradient of
//! example i is `x_i delta_i^T`, whose norm is `|x_i| |delta_i|` (Goodfellow, arXiv 1510.01799).
//!
//! Found on the graph as captured, not on the model: a parameter counts where it enters once, as the right side of a
//! product or spread over rows (biases, scales of norms, positions). Examples lie outermost in every value, as models
//! are captured: row `i k + t` is position t of example i, of k.

use super::grad::vjp;
use super::*;

/// What [`square_norms`] found.
#[derive(Clone, Debug)]
pub struct SquareNorms {
    /// f32 `[b]`: squared norm of each example's gradient with respect to the parameters that count.
    pub squares: NodeId,
    /// For each parameter whether it counts.
    pub counted: Vec<bool>,
}

/// Squared norms of the gradients of each of `losses` `[b]`, which must not depend on other examples (no batch norm).
///
/// # Errors
/// Losses that are not a vector.
pub fn square_norms(graph: &mut Graph, losses: NodeId, params: &[NodeId]) -> Result<SquareNorms, GraphError> {
    let &[batch] = graph.shape(losses) else {
        return Err(GraphError::NoDerivative(format!("losses {:?}, not one an example", graph.shape(losses))));
    };
    let ones = graph.constant(1.0, &[batch]);
    let mut squares = graph.constant(0.0, &[batch]);
    if batch == 1 {
        for gradient in vjp(graph, &[losses], &[ones], params)? {
            let square = square(graph, gradient)?;
            let total = graph.sum_all(square)?;
            let total = graph.reshape(total, &[1])?;
            squares = graph.add(squares, total)?;
        }
        return Ok(SquareNorms { squares, counted: vec![true; params.len()] });
    }
    let uses = Uses::of(graph, losses);
    let entries: Vec<Option<Entry>> = params.iter().map(|&param| uses.entry(graph, param, batch)).collect();
    let places: Vec<NodeId> = entries.iter().flatten().map(Entry::place).collect();
    let cotangents = vjp(graph, &[losses], &[ones], &places)?;
    for (found, cotangent) in entries.iter().flatten().zip(cotangents) {
        let part = found.squares(graph, cotangent, batch)?;
        squares = graph.add(squares, part)?;
    }
    Ok(SquareNorms { squares, counted: entries.iter().map(Option::is_some).collect() })
}

/// Where a parameter meets the examples.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// `rows x weight`.
    Product { place: NodeId, rows: NodeId },
    /// Repeated over rows.
    Spread { place: NodeId, from: NodeId },
}

impl Entry {
    /// The first value that differs between examples.
    fn place(&self) -> NodeId {
        match *self {
            Entry::Product { place, .. } | Entry::Spread { place, .. } => place,
        }
    }

    /// Squared norms `[batch]`, from the cotangent at the place.
    fn squares(&self, graph: &mut Graph, cotangent: NodeId, batch: usize) -> Result<NodeId, GraphError> {
        let shape = graph.shape(cotangent).to_vec();
        let each = shape[0] / batch;
        let (x, y) = match *self {
            Entry::Product { rows, .. } if each == 1 => {
                let (x, y) = (square(graph, rows)?, square(graph, cotangent)?);
                (graph.sum(x, &[1])?, graph.sum(y, &[1])?)
            }
            Entry::Product { rows, .. } => {
                let inputs = graph.shape(rows)[1];
                let x = graph.reshape(rows, &[batch, each, inputs])?;
                let y = graph.reshape(cotangent, &[batch, each, shape[1]])?;
                let (xt, yt) = (graph.transpose(x)?, graph.transpose(y)?);
                // |sum_t x_t y_t^T|^2 = sum_st (x_s x_t)(y_s y_t): whichever of the two ways needs fewer products.
                if each * (inputs + shape[1]) <= inputs * shape[1] {
                    (graph.matmul(x, xt)?, graph.matmul(y, yt)?)
                } else {
                    let gradient = graph.matmul(xt, y)?;
                    (gradient, gradient)
                }
            }
            Entry::Spread { from, .. } => {
                let y = graph.reshape(cotangent, &[&[batch, each], &shape[1..]].concat())?;
                let repeated = (1..shape.len()).filter(|&axis| graph.shape(from)[axis] == 1).map(|axis| axis + 1);
                let axes: Vec<usize> = std::iter::once(1).chain(repeated).collect();
                let gradient = graph.sum(y, &axes)?;
                (gradient, gradient)
            }
        };
        let product = graph.mul(x, y)?;
        let axes: Vec<usize> = (1..graph.shape(product).len()).collect();
        let sum = graph.sum(product, &axes)?;
        graph.reshape(sum, &[batch])
    }
}

fn square(graph: &mut Graph, x: NodeId) -> Result<NodeId, GraphError> {
    graph.mul(x, x)
}

/// Who reads what, on the way to the losses.
struct Uses {
    /// By node: the nodes that it is an argument of, once for each time.
    users: Vec<Vec<NodeId>>,
    /// By node: whether it differs between batches.
    varies: Vec<bool>,
}

impl Uses {
    fn of(graph: &Graph, losses: NodeId) -> Self {
        let count = losses.index() + 1;
        let (mut users, mut varies, mut needed) = (vec![Vec::new(); count], vec![false; count], vec![false; count]);
        needed[losses.index()] = true;
        for (index, node) in graph.nodes().iter().enumerate().take(count).rev() {
            if needed[index] {
                for arg in &node.args {
                    needed[arg.index()] = true;
                    users[arg.index()].push(NodeId(index as u32));
                }
            }
        }
        for (index, node) in graph.nodes().iter().enumerate().take(count) {
            varies[index] = match node.op {
                Op::Input(id) => graph.inputs()[id.index()].kind == InputKind::Step,
                _ => node.args.iter().any(|arg| varies[arg.index()]),
            };
        }
        Uses { users, varies }
    }

    /// The one place at which a parameter enters; `None` where there are several or it enters in another way.
    fn entry(&self, graph: &Graph, param: NodeId, batch: usize) -> Option<Entry> {
        // A reshape of a reshape refers to the first one's argument: the source sees all uses.
        let mut view = match graph.node(param) {
            Node { op: Op::Reshape(_), args, .. } => args[0],
            _ => param,
        };
        loop {
            let &[user] = self.users.get(view.index())?.as_slice() else { return None };
            let Node { op, args, shape, .. } = graph.node(user);
            let rows = shape.first().is_some_and(|rows| rows % batch == 0);
            match op {
                Op::Reshape(_) | Op::Permute(_) => view = user,
                Op::Matmul if args[1] == view && shape.len() == 2 && rows && self.varies[args[0].index()] => {
                    return Some(Entry::Product { place: user, rows: args[0] });
                }
                Op::Broadcast(_) if graph.shape(view)[0] == 1 && rows && self.meets_examples(graph, user) => {
                    return Some(Entry::Spread { place: user, from: view });
                }
                _ => return None,
            }
        }
    }

    /// Whether every use of a value is together with examples, so that its rows are theirs.
    fn meets_examples(&self, graph: &Graph, value: NodeId) -> bool {
        let users = &self.users[value.index()];
        let meets = |user: &NodeId| graph.node(*user).args.iter().any(|arg| self.varies[arg.index()]);
        !self.varies[value.index()] && users.iter().all(meets)
    }
}

#[cfg(test)]
mod tests;
