//! One seed: an encoder, missions, and every arm on the same ones.

use engine::numeric::{Matrix, distance, mean};
use engine::rng::own_seed;

use super::gradients::{Clients, Way};
use super::ground::{BASE, EXAMPLES, Ground, TESTED};
use super::missions::{MET, MISSIONS, Meeting, Plan, known, missions};
use super::prototypes::Server;
use super::{
    ABSENT, APART, BYTES, CHANGED, CLIENTS, ENCODER_RATE, ERROR, EXEMPLARS, FINAL, GAP, RATE, REVISIT, SEEN, SHOTS,
    WORK, session,
};
use crate::encoder::{DIMS, NET, embedding_step};
use crate::fewshot::methods::{class_means, nearest};
use crate::fewshot::{ClassMean, learned_parameters, letters};
use crate::names::DIVERGED;
use crate::{Context, Share, StudyError};

/// Chances of revisits at which both merges are compared.
const REVISITS: [f64; 4] = [0.0, 0.25, 0.5, 0.75];

/// Streams of missions that are drawn for each of them.
const STREAMS: u64 = 8;

/// One seed.
pub async fn run(context: &mut Context<'_>, seed: u64, share: Share) -> Result<(), StudyError> {
    let knobs = context.results.knobs.clone();
    let spec = session(&knobs, seed);
    let pictures = letters(context).await?;
    let theta = learned_parameters(context, &pictures, &spec, share.between(0.0, 0.6)).await?;
    let mut play = context.play(seed).await?;
    let embed = play.add(embedding_step(pictures.shape)?).await?;
    play.write(&format!("{NET}.theta"), &theta)?;
    let plan = Plan {
        clients: knobs.get(&CLIENTS),
        shots: knobs.get(&SHOTS),
        revisit: knobs.get(&REVISIT),
        absent: knobs.get(&ABSENT),
        spare: EXAMPLES - TESTED,
    };
    let ground = Ground::new(&mut play, embed, &pictures, &spec, plan.clients * MET * MISSIONS).await?;
    let met = missions(&plan, seed);
    let begun = begun(&ground).prototypes(DIMS);
    prototypes(context, &ground, &met, seed)?;
    for revisit in REVISITS {
        let streams =
            (0..STREAMS).map(|number| missions(&Plan { revisit, ..plan }, own_seed(seed, "revisits") + number));
        let gaps: Vec<f64> = streams.map(|missions| gap(&ground, &missions)).collect();
        context.results.record("B", seed)?.point(GAP, 100.0 * revisit, mean(&gaps));
        context.breathe().await?;
    }
    let classes = BASE + known(&met).last().copied().unwrap_or(0);
    let most = knobs.get(&EXEMPLARS);
    let mut clients = Clients::new(play, embed, pictures.shape, classes, [MET * plan.shots, most]).await?;
    context.results.record("A", seed)?.number(WORK, clients.encoding()? / 1e6);
    context.results.record("C", seed)?.number(WORK, clients.learning()? / 1e6);
    let rates = [knobs.get(&ENCODER_RATE), knobs.get(&RATE)];
    let heads = Way { whole: false, exemplars: 0, rates };
    let ways = [("C", Way { whole: true, ..heads }), ("D", heads), ("E", Way { exemplars: most, ..heads })];
    for (place, (arm, way)) in ways.into_iter().enumerate() {
        let share = share.between(0.6, 1.0).part(place, ways.len());
        let kept =
            (0..BASE).flat_map(|class| Ground::base_rows(class).take(way.exemplars).map(move |row| (row, class)));
        let mut server = clients.server(&begun, if way.whole { &theta } else { &[] }, kept.collect());
        let mut before = BASE;
        seen(context, arm, seed, 0, &clients.predicted(&server, &ground, before).await?)?;
        for (number, (mission, known)) in met.iter().zip(known(&met)).enumerate() {
            clients.mission(way, &mut server, &ground, mission, before).await?;
            before = BASE + known;
            seen(context, arm, seed, number + 1, &clients.predicted(&server, &ground, before).await?)?;
            context.progress(share.at((number + 1) as f64 / MISSIONS as f64), "clients learn by gradients");
        }
        let outcome = context.results.record(arm, seed)?;
        outcome.number(BYTES, server.bytes as f64 / 1e6);
        if !server.is_finite() {
            outcome.number(DIVERGED, MISSIONS as f64);
        }
    }
    let mut all = clients.server(&begun, &[], vec![]);
    clients.fit(&mut all, &ground, &given(&met)).await?;
    let predicted = clients.predicted(&all, &ground, classes).await?;
    context.results.record("G", seed)?.number(FINAL, Ground::accuracy(&predicted));
    for label in context.results.arms.clone() {
        context.results.record(&label.id, seed)?.done = true;
    }
    Ok(())
}

/// Accuracy over all classes known after so many missions.
fn seen(
    context: &mut Context<'_>,
    arm: &str,
    seed: u64,
    mission: usize,
    predicted: &[usize],
) -> Result<(), StudyError> {
    let (accuracy, outcome) = (Ground::accuracy(predicted), context.results.record(arm, seed)?);
    outcome.point(SEEN, mission as f64, accuracy);
    outcome.number(FINAL, accuracy);
    Ok(())
}

/// A server that has the prototypes of the base classes.
fn begun(ground: &Ground) -> Server {
    let mean = |class| ClassMean::of(Ground::base_rows(class).map(|row| ground.vectors.row(row)));
    Server { classes: (0..BASE).map(mean).collect(), bytes: 0 }
}

/// A mission of prototypes.
fn report(ground: &Ground, server: &mut Server, mission: &[Meeting], published: bool) {
    let message = |meeting: &Meeting| {
        let rows = meeting.examples.clone().map(|example| Ground::row(meeting.class, example));
        let met = ClassMean::of(rows.map(|row| ground.vectors.row(row)));
        server.message(BASE + meeting.class, &met, published)
    };
    let messages: Vec<_> = mission.iter().map(message).collect();
    server.receive(&messages);
}

/// Rows of everything that some missions gave, base classes included, and their classes.
fn given(missions: &[Vec<Meeting>]) -> Vec<(usize, usize)> {
    let base = (0..BASE).flat_map(|class| Ground::base_rows(class).map(move |row| (row, class)));
    let met = missions.iter().flatten().flat_map(|meeting| {
        meeting.examples.clone().map(|example| (Ground::row(meeting.class, example), BASE + meeting.class))
    });
    base.chain(met).collect()
}

/// Both merges, and the means of all data.
fn prototypes(
    context: &mut Context<'_>,
    ground: &Ground,
    missions: &[Vec<Meeting>],
    seed: u64,
) -> Result<(), StudyError> {
    let mut servers = [("A", false), ("B", true)].map(|(arm, published)| (arm, published, begun(ground)));
    let (mut apart, mut changed) = (0.0_f64, 0);
    for number in 0..=MISSIONS {
        if let Some(mission) = number.checked_sub(1).and_then(|last| missions.get(last)) {
            servers.iter_mut().for_each(|(_, published, server)| report(ground, server, mission, *published));
        }
        let (rows, labels): (Vec<usize>, Vec<usize>) = given(&missions[..number]).into_iter().unzip();
        let classes = servers[0].2.classes.len();
        let tests = ground.rows(&Ground::tests(classes));
        let central = class_means(&ground.rows(&rows), &labels, classes);
        let wanted = nearest(&tests, &central);
        seen(context, "F", seed, number, &wanted)?;
        for (arm, _, server) in &servers {
            let merged = server.prototypes(DIMS);
            let predicted = nearest(&tests, &merged);
            seen(context, arm, seed, number, &predicted)?;
            let outcome = context.results.record(arm, seed)?;
            outcome.number(BYTES, server.bytes as f64 / 1e6);
            if number > 0 {
                outcome.point(ERROR, number as f64, error(&merged, &central));
            }
            if *arm == "A" {
                let furthest = (0..classes).map(|class| distance(merged.row(class), central.row(class)));
                apart = furthest.fold(apart, f64::max);
                changed += predicted.iter().zip(&wanted).filter(|(a, b)| a != b).count();
            }
        }
    }
    let outcome = context.results.record("A", seed)?;
    outcome.number(APART, apart);
    outcome.number(CHANGED, changed as f64);
    Ok(())
}

/// Mean distance of the novel classes' prototypes from the means of all data.
fn error(merged: &Matrix, central: &Matrix) -> f64 {
    let novel = BASE..merged.rows;
    let count = novel.len().max(1) as f64;
    novel.map(|class| distance(merged.row(class), central.row(class))).sum::<f64>() / count
}

/// By how much the published merge ends below increments.
fn gap(ground: &Ground, missions: &[Vec<Meeting>]) -> f64 {
    let [increments, published] = [false, true].map(|published| {
        let mut server = begun(ground);
        missions.iter().for_each(|mission| report(ground, &mut server, mission, published));
        let tests = ground.rows(&Ground::tests(server.classes.len()));
        Ground::accuracy(&nearest(&tests, &server.prototypes(DIMS)))
    });
    increments - published
}
