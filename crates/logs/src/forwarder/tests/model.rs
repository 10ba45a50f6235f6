//! The forwarder against a naive model of one entry: deadlines, refreshes, the sliding quota, bindings.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

const CLIENTS: [&str; 4] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1"];
const MACS: [MacAddr; 2] = [MAC_A, MAC_B];
const TIMEOUT: u64 = 15 * 60;
const QUOTA: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    /// Seconds go by.
    Wait(u64),
    /// What is over is cleaned up.
    Expire,
    /// A client opens a session from a link-layer address.
    Seen(usize, usize),
    /// A client asks for a listed name from a link-layer address.
    Query(usize, usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let waits = select(vec![1, 60, 299, 300, 899, 900, 901, 1800, 3600]);
    prop_oneof![
        2 => waits.prop_map(Step::Wait),
        1 => Just(Step::Expire),
        1 => (0..CLIENTS.len(), 0..MACS.len()).prop_map(|(client, mac)| Step::Seen(client, mac)),
        5 => (0..CLIENTS.len(), 0..MACS.len()).prop_map(|(client, mac)| Step::Query(client, mac)),
    ]
}

/// Everything in seconds since the lab's clock started.
#[derive(Default)]
struct Model {
    now: u64,
    records: u64,
    /// Deadline and causing record of each tagged client.
    tagged: BTreeMap<usize, (u64, u64)>,
    /// Deadlines that passed before anybody cleaned up, and were set anew.
    lapsed: Vec<(usize, u64)>,
    /// When clients were newly tagged.
    new: Vec<u64>,
    told: bool,
    /// Who holds a client's address, and when it was last seen.
    holders: BTreeMap<usize, (usize, u64)>,
}

impl Model {
    fn seen(&mut self, client: usize, mac: usize) {
        let now = self.now;
        let holder = self.holders.entry(client).or_insert((mac, now));
        if now - holder.1 >= 300 {
            *holder = (mac, now);
        }
        if holder.0 == mac {
            holder.1 = now;
        }
    }

    fn expire(&mut self) -> Vec<String> {
        let mut gone = std::mem::take(&mut self.lapsed);
        let now = self.now;
        self.tagged.retain(|&client, &mut (deadline, cause)| {
            if deadline <= now {
                gone.push((client, cause));
            }
            deadline > now
        });
        gone.sort_unstable();
        self.records += u64::try_from(gone.len()).unwrap();
        let told =
            |(client, cause)| format!("timeout infected-host on {} by record {cause}", CLIENTS[client]);
        gone.into_iter().map(told).collect()
    }

    fn query(&mut self, client: usize, mac: usize) -> Vec<String> {
        let now = self.now;
        self.records += 1;
        let cause = self.records;
        let told = |event| format!("{event} infected-host on {} by record {cause}", CLIENTS[client]);
        let held_by_other = self
            .holders
            .get(&client)
            .is_some_and(|&(holder, seen)| holder != mac && now - seen < 300);
        let carries = self
            .tagged
            .get(&client)
            .is_some_and(|&(deadline, _)| deadline > now);
        let in_hour = self.new.iter().filter(|&&at| now - at < 3600).count();
        let told = if held_by_other {
            vec![told("refused"), "medium foreign-link-layer-address".to_owned()]
        } else if carries {
            self.tagged.insert(client, (now + TIMEOUT, cause));
            vec![told("refresh")]
        } else if in_hour < QUOTA {
            self.new.push(now);
            if let Some((_, cause)) = self.tagged.insert(client, (now + TIMEOUT, cause)) {
                self.lapsed.push((client, cause));
            }
            vec![told("register")]
        } else if self.told {
            vec![told("refused")]
        } else {
            vec![told("refused"), "critical max-new-per-hour".to_owned()]
        };
        if !held_by_other && !carries {
            self.told = in_hour >= QUOTA;
        }
        self.records += u64::try_from(told.len()).unwrap();
        told
    }
}

/// A refresh within the same second leaves the deadline, and so the cause, as they were.
fn refreshed_at_once(model: &Model, client: usize) -> bool {
    model
        .tagged
        .get(&client)
        .is_some_and(|&(deadline, _)| deadline == model.now + TIMEOUT)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn agrees_with_a_naive_model(steps in vec(any_step(), 1..60)) {
        let mut entry = infected();
        entry.actions[0].timeout = 15;
        let mut lab = Lab::with_config(ForwarderConfig {
            max_new_per_hour: Some(QUOTA.try_into().unwrap()),
            ..config(vec![entry])
        });
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Wait(secs) => {
                    lab.after(secs);
                    model.now += secs;
                }
                Step::Expire => prop_assert_eq!(lab.expire(), model.expire()),
                Step::Seen(client, mac) => {
                    lab.seen(CLIENTS[client], MACS[mac]);
                    model.seen(client, mac);
                }
                Step::Query(client, mac) => {
                    if refreshed_at_once(&model, client) {
                        lab.after(1);
                        model.now += 1;
                    }
                    let told = lab.sinkhole_from(CLIENTS[client], from_mac(MACS[mac]));
                    prop_assert_eq!(told, model.query(client, mac));
                }
            }
            for (index, client) in CLIENTS.iter().enumerate() {
                let carries = model.tagged.get(&index).is_some_and(|&(deadline, _)| deadline > model.now);
                prop_assert_eq!(!lab.tags(client).is_empty(), carries, "{}", client);
            }
            prop_assert_eq!(lab.forwarder.last_seqno(), model.records);
        }
    }
}
