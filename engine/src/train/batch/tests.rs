use super::*;
use crate::spec::RunSpec;

fn spec(policy: Policy) -> RunSpec {
    let mut spec = RunSpec::default();
    spec.batch = BatchSpec { policy, size: 8, interval: 5, eta: 0.5, theta: 0.5, nu: 1.0, largest: 100, ..spec.batch };
    spec
}

fn now(spec: &RunSpec, step: u64) -> Now<'_> {
    Now { spec, step, batch_start: 0, all: 1000 }
}

/// |g|^2 = 2, so that V = 4 asks for 8 examples at eta = 0.5.
fn seen(batch: usize, variance: f64, along: f64) -> GradientStatistics {
    GradientStatistics { batch, square: 2.0, variance, error: 0.0, directions: 0, along }
}

#[test]
fn tests_ask_for_what_their_formulas_say() {
    let batch = spec(Policy::NormTest).batch;
    assert_eq!(norm_test::needed(&batch, &seen(8, 4.0, 0.0)), 4.0 / (0.25 * 2.0));
    // Along: 6 / (0.25 * 4); across: (5 - 6 / 2) / (1 * 2).
    assert_eq!(inner_product::needed(&batch, &seen(8, 5.0, 6.0)), 6.0);
    let strict = BatchSpec { nu: 0.1, ..batch };
    assert!((inner_product::needed(&strict, &seen(8, 5.0, 6.0)) - 100.0).abs() < 1e-9);
}

#[test]
fn collinear_gradients_make_both_tests_one() {
    // V = 4 all along g: Var <g_i, g> = 4 |g|^2.
    let batch = BatchSpec { theta: 0.3, eta: 0.3, ..spec(Policy::NormTest).batch };
    let seen = seen(8, 4.0, 8.0);
    assert_eq!(seen.across(), 0.0);
    assert!((inner_product::needed(&batch, &seen) - norm_test::needed(&batch, &seen)).abs() < 1e-9);
}

#[test]
fn a_batch_is_a_whole_number_that_only_grows_up_to_its_bound() {
    let mut spec = spec(Policy::NormTest);
    let mut batches = AdaptiveBatch::default();
    let mut decide = |spec: &RunSpec, variance| {
        batches.observe(&now(spec, 4), &seen(8, variance, 0.0));
        let due = batches.due(&now(spec, 9));
        (batches.batch(&now(spec, 5)).unwrap(), due)
    };
    assert_eq!(decide(&spec, 5.1), (11, true));
    assert_eq!(decide(&spec, 1.0), (11, true));
    assert_eq!(decide(&spec, f64::NAN), (11, true));
    spec.batch.shrink = true;
    assert_eq!(decide(&spec, 1.2), (3, true));
    assert_eq!(decide(&spec, 0.0), (2, true));
    assert_eq!(decide(&spec, f64::INFINITY), (100, true));
    spec.batch.shrink = false;
    // At the bound the test stops.
    assert_eq!(decide(&spec, 1.0), (100, false));
    spec.batch.largest = 0;
    assert_eq!(decide(&spec, 1e9), (1000, false));
    // A bound lowered by hand holds at once, but never below the first size.
    spec.batch.largest = 20;
    assert_eq!(batches.batch(&now(&spec, 10)), Some(20));
    spec.batch.largest = 1;
    assert_eq!(batches.batch(&now(&spec, 10)), Some(8));
}

#[test]
fn measurements_come_every_interval_from_the_start_of_the_policy() {
    let adaptive = spec(Policy::InnerProduct);
    let batches = AdaptiveBatch::default();
    let due = |spec: &RunSpec, batch_start| -> Vec<u64> {
        (batch_start..20).filter(|&step| batches.due(&Now { batch_start, ..now(spec, step) })).collect()
    };
    assert_eq!(due(&adaptive, 0), [4, 9, 14, 19]);
    assert_eq!(due(&adaptive, 7), [11, 16]);
    for policy in [Policy::Fixed, Policy::Stepped, Policy::Ramp] {
        assert_eq!(due(&spec(policy), 0), [0; 0]);
        assert_eq!(batches.batch(&now(&spec(policy), 3)), None);
    }
}

#[test]
fn a_size_set_by_hand_forgets_what_was_decided() {
    let spec = spec(Policy::NormTest);
    let mut batches = AdaptiveBatch::default();
    batches.observe(&now(&spec, 4), &seen(8, 20.0, 0.0));
    assert_eq!(batches.batch(&now(&spec, 5)), Some(40));
    assert_eq!(batches.batch(&Now { batch_start: 6, ..now(&spec, 6) }), Some(8));
}

#[test]
fn numbers_give_back_what_was_decided() {
    let spec = spec(Policy::NoiseScale);
    let mut batches = AdaptiveBatch::default();
    assert_eq!(AdaptiveBatch::restored(&batches.numbers()), batches);
    batches.observe(&now(&spec, 4), &seen(8, 20.0, 0.1));
    assert_eq!(AdaptiveBatch::restored(&batches.numbers()), batches);
    assert_eq!(AdaptiveBatch::restored(&[1.0]), AdaptiveBatch::default());
}

#[test]
fn the_noise_scale_is_a_ratio_of_means_and_moves_by_halves_and_doubles() {
    let mut batch = spec(Policy::NoiseScale).batch;
    batch.smoothing = 0.5;
    let mut smoothed = noise_scale::Smoothed::default();
    // |G|^2 = 2 - 8 / 8 = 1.
    assert_eq!(noise_scale::needed(&batch, &seen(8, 8.0, 0.0), &mut smoothed), 8.0);
    // Means 4 * 0.5 + 12 * 0.5 = 8 and 0.5 * 0.5 + 0.5 * 0.5 = 0.5.
    assert_eq!(noise_scale::needed(&batch, &seen(8, 12.0, 0.0), &mut smoothed), 16.0);
    // Means 8 and 0.5 * 0.5 + (2 - 8 / 16) * 0.5 = 1.
    batch.multiple = 1.5;
    assert_eq!(noise_scale::needed(&batch, &seen(16, 8.0, 0.0), &mut smoothed), 12.0);
    // Nothing but noise, then nothing but gradient.
    assert_eq!(noise_scale::needed(&batch, &seen(8, 160.0, 0.0), &mut smoothed), 16.0);
    batch.smoothing = 0.0;
    assert_eq!(noise_scale::needed(&batch, &seen(8, 1e-6, 0.0), &mut smoothed), 4.0);
    assert!(noise_scale::needed(&batch, &seen(1, f64::NAN, f64::NAN), &mut smoothed).is_nan());
    assert_eq!(smoothed.trace, 1e-6, "a measurement that is none leaves no trace");
}
