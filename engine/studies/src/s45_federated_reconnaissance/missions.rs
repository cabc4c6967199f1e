//! Who meets what: missions in which every client is given labelled examples of a few classes.

use std::ops::Range;

use engine::rng::{Rng, Stream};

/// Missions.
pub const MISSIONS: usize = 10;
/// Classes that a client meets in a mission.
pub const MET: usize = 3;

/// What missions are drawn by.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Clients.
    pub clients: usize,
    /// Labelled examples of a class that a client is given.
    pub shots: usize,
    /// Chance that a class is one that some client has met before.
    pub revisit: f64,
    /// Chance that a client misses a mission.
    pub absent: f64,
    /// Examples that a class has to give.
    pub spare: usize,
}

/// A client's examples of a class in one mission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// Which client.
    pub client: usize,
    /// Which class, in the order in which they were first met.
    pub class: usize,
    /// Its examples that nobody was given before.
    pub examples: Range<usize>,
}

/// The meetings of each mission. No client meets a class twice in one; no example is given twice.
pub fn missions(plan: &Plan, seed: u64) -> Vec<Vec<Meeting>> {
    let mut rng = Rng::new(seed, Stream::Tasks, 45);
    // Examples given of each class so far.
    let mut given: Vec<usize> = Vec::new();
    let mut mission = || {
        let mut meetings: Vec<Meeting> = Vec::new();
        for client in 0..plan.clients {
            let present = f64::from(rng.uniform()) >= plan.absent;
            for _ in 0..MET {
                let again = f64::from(rng.uniform()) < plan.revisit;
                let met = |class: usize| meetings.iter().any(|past| past.client == client && past.class == class);
                let open = |class: &usize| given[*class] + plan.shots <= plan.spare && !met(*class);
                let known: Vec<usize> = (0..given.len()).filter(open).collect();
                let choice = rng.below(known.len().max(1) as u32) as usize;
                if !present {
                    continue;
                }
                let class = if again && !known.is_empty() { known[choice] } else { given.len() };
                if class == given.len() {
                    given.push(0);
                }
                let first = given[class];
                given[class] += plan.shots;
                meetings.push(Meeting { client, class, examples: first..first + plan.shots });
            }
        }
        meetings
    };
    (0..MISSIONS).map(|_| mission()).collect()
}

/// Classes met so far after each mission.
pub fn known(missions: &[Vec<Meeting>]) -> Vec<usize> {
    let mut known = 0;
    let after = |mission: &Vec<Meeting>| {
        known = mission.iter().fold(known, |known, meeting| known.max(meeting.class + 1));
        known
    };
    missions.iter().map(after).collect()
}

#[cfg(test)]
#[test]
fn classes_are_met_anew_or_again_and_no_example_twice() {
    let plan = Plan { clients: 4, shots: 5, revisit: 0.5, absent: 0.0, spare: 30 };
    let missions = missions(&plan, 1);
    let all: Vec<&Meeting> = missions.iter().flatten().collect();
    assert_eq!(all.len(), 120);
    let mut examples: Vec<(usize, usize)> =
        all.iter().flat_map(|meeting| meeting.examples.clone().map(|example| (meeting.class, example))).collect();
    assert!(examples.iter().all(|example| example.1 < 30));
    examples.sort_unstable();
    examples.dedup();
    assert_eq!(examples.len(), 600);
    for mission in &missions {
        let mut pairs: Vec<_> = mission.iter().map(|meeting| (meeting.client, meeting.class)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        assert_eq!(pairs.len(), 12, "a client meets a class once");
    }
    let known = known(&missions);
    assert!(known.is_sorted() && (45..76).contains(&known[9]), "{known:?}");
    let never = Plan { revisit: 0.0, ..plan };
    assert_eq!(self::known(&self::missions(&never, 1)), (1..=10).map(|k| 12 * k).collect::<Vec<_>>());
    assert!(self::missions(&Plan { absent: 0.5, ..plan }, 1).iter().flatten().count() < 90);
}
