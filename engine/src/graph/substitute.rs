//! A value as a function of another: the same computation at another argument.

use super::{Graph, GraphError, NodeId};

/// What `value` would be if `argument` were `replacement`, which has its shape and type. Only what depends on the argument
/// is computed again: random draws and everything else that does not are the same values.
///
/// # Errors
/// A replacement of another shape or type.
pub fn substitute(
    graph: &mut Graph,
    value: NodeId,
    argument: NodeId,
    replacement: NodeId,
) -> Result<NodeId, GraphError> {
    let (old, new) = (graph.node(argument), graph.node(replacement));
    if (&old.shape, old.dtype) != (&new.shape, new.dtype) {
        let reason = format!("{:?} {:?} in place of {:?} {:?}", new.dtype, new.shape, old.dtype, old.shape);
        return Err(GraphError::Shape { op: "substitute".to_owned(), reason });
    }
    let mut needed = vec![false; value.index() + 1];
    needed[value.index()] = true;
    for index in (0..needed.len()).rev().filter(|&index| index != argument.index()) {
        if needed[index] {
            graph.nodes()[index].args.iter().for_each(|arg| needed[arg.index()] = true);
        }
    }
    let mut to: Vec<NodeId> = (0..needed.len()).map(|index| NodeId(index as u32)).collect();
    let last_label = graph.label;
    for index in (argument.index()..needed.len()).filter(|&index| needed[index]) {
        if index == argument.index() {
            to[index] = replacement;
            continue;
        }
        let node = &graph.nodes()[index];
        if node.args.iter().all(|arg| to[arg.index()] == *arg) {
            continue;
        }
        let node = node.clone();
        graph.label = node.label;
        let args = node.args.iter().map(|arg| to[arg.index()]).collect();
        to[index] = graph.push(node.op, args, node.shape, node.dtype);
    }
    graph.label = last_label;
    Ok(to[value.index()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::reference::{Inputs, run};
    use crate::graph::{DType, InputKind, Op, Output, Program, Target};

    #[test]
    fn what_does_not_depend_on_the_argument_is_shared() -> Result<(), GraphError> {
        let mut program = Program::default();
        let graph = &mut program.graph;
        let x = graph.input("x", &[3], DType::F32, InputKind::State)?;
        let y = graph.input("y", &[3], DType::F32, InputKind::State)?;
        let key = graph.input("key", &[4], DType::U32, InputKind::Step)?;
        let noise = graph.random(key, 0, &[3])?;
        let square = graph.mul(x, x)?;
        let value = graph.add(square, noise)?;
        let moved = substitute(graph, value, x, y)?;
        let count = |graph: &Graph| graph.nodes().iter().filter(|node| matches!(node.op, Op::Random { .. })).count();
        assert_eq!(count(graph), 1);
        assert_eq!(substitute(graph, noise, x, y)?, noise);
        assert_eq!(substitute(graph, x, x, y)?, y);
        assert!(substitute(graph, value, x, key).is_err());
        let difference = graph.sub(moved, noise)?;
        program.outputs.push(Output { node: difference, target: Target::Fetch("square".into()) });
        let mut inputs = Inputs::from([
            ("x".into(), vec![1.0, 2.0, 3.0]),
            ("y".into(), vec![4.0, 5.0, 6.0]),
            ("key".into(), vec![1.0, 2.0, 3.0, 4.0]),
        ]);
        let found = run(&program, &mut inputs);
        assert!(found["square"].iter().zip([16.0, 25.0, 36.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        Ok(())
    }
}
