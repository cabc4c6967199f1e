//! What a product costs against a gradient on the same rows, as counted by the plans.

use super::*;
use crate::graph::plan::Plan;
use crate::graph::{Options, Program, compile, split};
use crate::spec::preset;
use crate::train::{Feed, Programs, vector};

const ROWS: usize = 32;

fn plan(program: &Program) -> Plan {
    compile(program, Options::default()).unwrap()
}

/// A first product costs at most 3.1 times a gradient in 2.5 times its launches, each further one on the same rows 2.1
/// times; so does each of several vectors multiplied at once.
fn check(id: &str) {
    let spec = preset(id).unwrap().spec();
    let feed = Feed::of(&load(&spec).unwrap(), &spec).unwrap();
    let programs = Programs::new(&spec, &feed).unwrap();
    let gradient = plan(&programs.probed(ROWS).unwrap().gradient().unwrap());
    for curved in [Curved::Hessian, Curved::GaussNewton, Curved::Fisher] {
        for lanes in [1, 4] {
            let program = programs.probed(ROWS).unwrap().curvature(curved, &[lanes]).unwrap();
            let parts = split(&program, &[&vector(lanes)], "kept").unwrap();
            let (fixed, moving) = (plan(&parts.fixed), plan(&parts.moving));
            let unit = (lanes as u64 * gradient.flop()) as f64;
            let first = (fixed.flop() + moving.flop()) as f64 / unit;
            let further = moving.flop() as f64 / unit;
            let launches = (fixed.launches.len() + moving.launches.len()) as f64;
            let launches = launches / (lanes * gradient.launches.len()) as f64;
            println!(
                "{id}, {lanes} {curved:?}: {first:.2} and {further:.2} gradients in {launches:.2} times its launches"
            );
            assert!(first <= 3.1, "{id}, {lanes} {curved:?}: {first}");
            assert!(further <= 2.1, "{id}, {lanes} {curved:?}: {further}");
            assert!(launches <= 2.5, "{id}, {lanes} {curved:?}: {launches}");
        }
    }
}

#[test]
fn products_of_an_mlp_keep_to_the_budget() {
    ["mlp", "spirals", "weather"].into_iter().for_each(check);
}

#[test]
fn products_of_a_convnet_keep_to_the_budget() {
    check("convnet");
}

#[test]
fn products_of_a_compact_transformer_keep_to_the_budget() {
    ["cct-mnist", "cct-digits", "vit-digits"].into_iter().for_each(check);
}

#[test]
fn products_of_a_gpt_keep_to_the_budget() {
    check("gpt");
}
