//! What the answer says beside the checks.

use engine::figure::brief;

use super::{ACCURACY, FULL, NETWORKS, Network, id};
use crate::Results;

/// Where the norms are ahead least, and how far the output layer alone comes.
pub fn where_it_fails(results: &Results) -> String {
    let mean = |network: &Network, part: &str| results.sample(&id(network.0, part), ACCURACY).mean();
    let gain = |network: &Network| mean(network, "norms") - mean(network, "random");
    let parts = ["norms", "output", "both"];
    let mut measured = NETWORKS.iter().map(gain).chain(FULL.iter().flat_map(|full| parts.map(|part| mean(full, part))));
    if !measured.all(f64::is_finite) {
        return String::new();
    }
    let least = NETWORKS.iter().min_by(|a, b| gain(a).total_cmp(&gain(b)));
    let smallest = least.map_or_else(String::new, |network| {
        format!("The lead is smallest in {}: {} points. ", network.1, brief(gain(network)))
    });
    let of = |network: &Network| {
        let [norms, output, both] = parts.map(|part| brief(mean(network, part)));
        format!("in {} norms alone reach {norms}%, the output {output}%, both {both}%", network.1)
    };
    let [conv, dense] = FULL;
    let behind = |network: &Network| mean(network, "norms") < mean(network, "output");
    let why = match FULL.iter().any(behind) {
        true => " Where norms alone are behind, a random output layer over few features may be what holds them back.",
        false => "",
    };
    format!("{smallest}As for the output layer: {}; {}.{why}", of(&conv), of(&dense))
}
