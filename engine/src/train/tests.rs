//! Whole updates on the CPU executor.

use std::rc::Rc;

use safetensors::SafeTensors;

use super::{TrainError, Trainer};
use crate::cpu::CpuExecutor;
use crate::data;
use crate::executor::Executor;
use crate::model::THETA;
use crate::spec::{Choice, EffectiveSchedule, Link, Rule, RunSpec, Trained};

async fn trainer(link: &str) -> Result<Trainer<CpuExecutor>, TrainError> {
    let Link { spec, issues, .. } = Link::parse(link);
    assert_eq!(issues, []);
    let pack = data::pack_file(spec.data.set).map(|name| data::read_pack_file(&name)).transpose()?;
    let data = Rc::new(data::load(&spec.data, spec.seed, pack.as_deref())?);
    Trainer::new(CpuExecutor::new(), &spec, data).await
}

/// Losses of the first updates, and every state after them.
async fn trained(link: &str, steps: u64) -> Result<Vec<Vec<f32>>, TrainError> {
    let mut trainer = trainer(link).await?;
    for _ in 0..steps {
        trainer.step().await?;
    }
    let mut found = vec![trainer.metrics().await?.iter().map(|metrics| metrics.loss).collect()];
    let names: Vec<String> = trainer.checkpoint().await?.states.into_keys().collect();
    for name in names {
        found.push(trainer.state(&name).await?);
    }
    Ok(found)
}

/// A batch that a policy decides is computed in places of few sizes; a batch that a hand sets has as many as it needs.
/// What batch norm makes of 98 examples is the same in both, and so is what it remembers.
#[test]
fn places_left_over_do_not_reach_batch_norm() -> Result<(), TrainError> {
    pollster::block_on(async {
        for model in [
            "preset=mlp&model.hidden=32,16&model.norm=batch",
            "preset=convnet&data=digits&model.channels=4,8&augment.flip=false",
        ] {
            let base = format!("#lab?{model}&optimizer=sgd&schedule=constant&schedule.peak=0.1&schedule.warmup=0");
            let decided = format!("{base}&batch.size=49&batch.policy=stepped&batch.factor=2&batch.at=1");
            let set = format!("{base}&batch.size=49&edit=1:batch.size=98");
            let (decided, set) = (trained(&decided, 6).await?, trained(&set, 6).await?);
            for (decided, set) in decided.iter().zip(&set) {
                let close = |(a, b): (&f32, &f32)| (a - b).abs() < 2e-5 * a.abs().max(1.0);
                assert!(decided.iter().zip(set).all(close), "{model}: {decided:?} and {set:?}");
            }
        }
        Ok(())
    })
}

/// What does not learn stays as it started, to the bit, whatever the rule, its decay and its momentum are; what does, moves.
#[test]
fn what_does_not_learn_stands_still() -> Result<(), TrainError> {
    pollster::block_on(async {
        for Choice { id: rule, .. } in Rule::CHOICES {
            for trained in Trained::ALL {
                for also in ["", "&optimizer.rho=0.1", "&batch.micro=8"] {
                    let link = format!(
                        "#lab?preset=mlp&data=mixture&data.train=64&data.test=32&model.hidden=6,5&model.norm=batch\
                         &optimizer={rule}&optimizer.weight_decay=0.3&optimizer.trained={}&optimizer.clip=0.5&batch.size=16\
                         &schedule.peak=0.01&schedule.warmup=0{also}",
                        trained.id()
                    );
                    let mut trainer = trainer(&link).await?;
                    let (layout, start) = (trainer.layout().clone(), trainer.layout().initial(trainer.spec().seed));
                    for _ in 0..3 {
                        trainer.step().await?;
                    }
                    let theta = trainer.state(THETA).await?;
                    for entry in layout.entries() {
                        let norm = entry.name.ends_with("gamma") || entry.name.ends_with("beta");
                        let output = entry.name.starts_with("head");
                        let learns = match trained {
                            Trained::All => true,
                            Trained::Norms => norm,
                            Trained::NormsAndOutput => norm || output,
                            Trained::Output => output,
                        };
                        let range = entry.offset..entry.offset + entry.shape.iter().product::<usize>();
                        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
                        let stands = theta[range.clone()].iter().zip(&start[range]).all(same);
                        // Batch norm undoes a bias before it, whose gradient is 0.
                        let undone = entry.name.ends_with("linear.bias");
                        assert!(stands != learns || undone && learns, "{link}: {}", entry.name);
                    }
                }
            }
        }
        Ok(())
    })
}

/// Dropout turned in mid-run is that of a network which was built with it, also where there was none before or is none after.
#[test]
fn dropout_is_turned_as_if_the_network_had_been_built_so() -> Result<(), TrainError> {
    pollster::block_on(async {
        let link = "#lab?preset=mlp&optimizer=sgd&model.hidden=16&steps=9&model.dropout=";
        for rates in [["0", "0.5", "0.2"], ["0.5", "0", "0.3"]] {
            let edits = format!("{}&edit=3:model.dropout={}&edit=6:model.dropout={}", rates[0], rates[1], rates[2]);
            let whole = trained(&format!("{link}{edits}"), 9).await?;
            let mut losses = Vec::new();
            let mut state = None;
            for rate in rates {
                let mut part = trainer(&format!("{link}{rate}")).await?;
                state.iter().try_for_each(|state| part.restore(state))?;
                for _ in 0..3 {
                    part.step().await?;
                }
                losses.extend(part.metrics().await?.iter().map(|metrics| metrics.loss));
                state = Some(part.checkpoint().await?);
            }
            assert_eq!(whole[0], losses);
            let theta = state.map(|state| state.states[THETA].clone()).unwrap_or_default();
            let found: Vec<u8> = whole[1].iter().flat_map(|value| value.to_le_bytes()).collect();
            assert!(found == theta);
            assert_ne!(losses, trained(&format!("{link}{}", rates[0]), 9).await?[0]);
        }
        Ok(())
    })
}

/// The part of the gradient that is computed is that of the whole.
#[test]
fn parts_learn_as_within_the_whole() -> Result<(), TrainError> {
    pollster::block_on(async {
        let link = "#lab?preset=convnet&data=digits&model.channels=4,6&optimizer=sgd&optimizer.weight_decay=0\
                    &schedule=constant&schedule.peak=0.1&schedule.warmup=0&augment.flip=false&optimizer.trained=";
        let mut moved = Vec::new();
        for trained in Trained::ALL {
            let mut trainer = trainer(&format!("{link}{}", trained.id())).await?;
            trainer.step().await?;
            moved.push((trainer.layout().clone(), trainer.state(THETA).await?));
        }
        let (_, whole) = &moved[0];
        for (layout, theta) in &moved[1..] {
            let rates = layout.rates().unwrap_or_default();
            let learns = |(rate, (a, b)): (&f32, (&f32, &f32))| *rate == 0.0 || (a - b).abs() < 1e-6;
            assert!(rates.iter().zip(theta.iter().zip(whole)).all(learns));
        }
        Ok(())
    })
}

/// Adam's momentum goes down and up over a cycle, and a hand sets beta2: what corrects the moments is the product of the
/// shares that were kept, also from a checkpoint on.
#[test]
fn moments_are_corrected_by_the_shares_that_were_kept() -> Result<(), TrainError> {
    pollster::block_on(async {
        let link = "#lab?preset=mlp&optimizer=adam&optimizer.beta1=0.95&schedule=one_cycle&schedule.momentum=counter\
                    &steps=12&edit=5:optimizer.beta2=0.5";
        let mut trainer = trainer(link).await?;
        for _ in 0..7 {
            trainer.step().await?;
        }
        let checkpoint = trainer.checkpoint().await?;
        for _ in 7..12 {
            trainer.step().await?;
        }
        let schedule = EffectiveSchedule::new(trainer.spec(), trainer.examples());
        let batch = RunSpec::clone(trainer.spec()).batch.size;
        let betas = (0..12).map(|step| {
            let recipe = schedule.rates(step, batch, step * batch as u64, 1.0).applied(&schedule.at(step).optimizer);
            [recipe.beta1, recipe.beta2]
        });
        let products = betas.fold([1.0, 1.0], |[mean, square], [beta1, beta2]| [mean * beta1, square * beta2]);
        let bias = trainer.bias();
        assert!((bias.numbers()[0] / products[0] - 1.0).abs() < 1e-12);
        assert!((bias.numbers()[1] / products[1] - 1.0).abs() < 1e-12);
        assert!((products[1] / (0.999f64.powi(5) * 0.5f64.powi(7)) - 1.0).abs() < 1e-12);
        assert!(products[0] < 0.95f64.powi(12) * 0.9, "momentum moved");

        let theta = trainer.theta().await?;
        trainer.restore(&checkpoint)?;
        for _ in 7..12 {
            trainer.step().await?;
        }
        assert_eq!((trainer.bias(), trainer.theta().await?), (bias, theta));
        Ok(())
    })
}

/// What batch norm knows at evaluation goes with the weights.
#[test]
fn weights_carry_running_statistics_and_moments() -> Result<(), TrainError> {
    pollster::block_on(async {
        let link = "#lab?preset=mlp&model.hidden=16&model.norm=batch&batch.size=32";
        let mut trained = trainer(link).await?;
        for _ in 0..20 {
            trained.step().await?;
        }
        let file = trained.weights_file().await?;
        let tensors = SafeTensors::deserialize(&file).map_err(|error| TrainError::Checkpoint(error.to_string()))?;
        let names = tensors.names();
        for name in trained.layout().entries().iter().map(|entry| entry.name.clone()) {
            for whole in [name.clone(), format!("adam.m/{name}"), format!("adam.v/{name}")] {
                assert!(names.contains(&whole.as_str()), "{whole} is not among {names:?}");
            }
        }
        let mut fresh = trainer(&format!("{link}&seed=2&optimizer=sgd")).await?;
        let before = fresh.evaluate().await?.losses.clone();
        fresh.load_weights(&file)?;
        assert_eq!(fresh.evaluate().await?.losses, trained.evaluate().await?.losses);
        assert_ne!(fresh.evaluate().await?.losses, before);
        let mut other = trainer("#lab?preset=mlp&model.hidden=17&model.norm=batch").await?;
        let theta = other.theta().await?;
        assert!(other.load_weights(&file).is_err() && other.load_weights(&file[..80]).is_err());
        assert_eq!(other.theta().await?, theta);
        Ok(())
    })
}

/// Dropout that comes and goes needs other plans each time; those of the batches behind give their memory back.
#[test]
fn plans_that_are_used_no_more_hold_no_memory() -> Result<(), TrainError> {
    pollster::block_on(async {
        let base = "#lab?preset=mlp&data=mixture&data.train=64&data.test=32&optimizer=sgd&batch.size=1";
        let edits: String =
            (1..9).map(|step| format!("&edit={step}:model.dropout={}", 0.1 * f64::from(step % 2))).collect();
        let mut trainer = trainer(&format!("{base}{edits}")).await?;
        let mut held = vec![];
        for _ in 0..9 {
            trainer.step().await?;
            held.push(trainer.executor_mut().counters().bytes_held);
        }
        assert_eq!(held[1..3], held[7..9], "{held:?}");

        // The gradient alone takes 23 MB a plan.
        let edits: String = (1..12).map(|step| format!("&edit={step}:batch.size={}", step + 1)).collect();
        let mut trainer = self::trainer(&format!("{base}&model.hidden=2400,2400{edits}")).await?;
        for _ in 0..12 {
            trainer.step().await?;
        }
        let before = trainer.executor_mut().counters();
        assert!(before.bytes_peak < 400 << 20, "{before:?}");
        trainer.step().await?;
        assert_eq!(trainer.executor_mut().counters().buffer_creations, before.buffer_creations, "what is in use stays");
        Ok(())
    })
}

/// A sampler that goes by losses is told those of the examples, whatever places are left over: here one of every 66.
#[test]
fn losses_are_told_of_the_examples_that_had_them() -> Result<(), TrainError> {
    pollster::block_on(async {
        let link = "#lab?preset=mlp&data=mixture&data.train=400&data.test=32&model.hidden=8&model.norm=batch\
                    &batch.sampler=fixed&batch.share=0.5&batch.size=131";
        let mut trainer = trainer(link).await?;
        for _ in 0..3 {
            trainer.step().await?;
        }
        let metrics = trainer.metrics().await?;
        for (remembered, metrics) in trainer.remembered().iter().zip(&metrics) {
            assert!((remembered - metrics.loss).abs() < 1e-6, "{remembered} of {metrics:?}");
        }
        assert_eq!(trainer.remembered().len(), metrics.len());
        Ok(())
    })
}

/// Of many micro-batches the first that goes wrong is looked into, and no other.
#[test]
fn a_number_that_is_not_finite_is_sought_where_it_arose() -> Result<(), TrainError> {
    pollster::block_on(async {
        let link = "#lab?preset=mlp&data=mixture&data.train=64&data.test=32&batch.micro=8&schedule.warmup=0";
        let mut labels = vec![];
        for (batch, parts) in [("0", 8), ("8", 0)] {
            let mut trainer = trainer(&format!("{link}&batch.size={batch}")).await?;
            let mut theta = trainer.theta().await?;
            let mut breaths = 0;
            assert_eq!(trainer.first_non_finite(async || breaths += 1).await?, None);
            assert_eq!(breaths, parts);
            theta[0] = f32::INFINITY;
            trainer.set_theta(&theta)?;
            breaths = 0;
            let found = trainer.first_non_finite(async || breaths += 1).await?;
            assert_eq!(breaths, parts.min(1));
            labels.extend(found);
        }
        assert_eq!(labels.len(), 2);
        assert_eq!(labels[0], labels[1]);
        Ok(())
    })
}
