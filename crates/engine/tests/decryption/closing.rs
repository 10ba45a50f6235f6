//! FIN and RST by either side, in every state that a session passes through.

use std::time::Duration;

use crate::{
    firewall::Plan,
    opening::{REQUEST, RESPONSE, SECOND},
    world::{Pair, Visit, World},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Close,
    CloseUnsaid,
    Reset,
    Vanish,
}

fn end(world: &mut World, pair: Pair, who: Who, how: How) {
    let host = match who {
        Who::Client => world.client(pair),
        Who::Server => world.server(pair),
    };
    match how {
        How::Close => host.close(),
        How::CloseUnsaid => host.close_unsaid(),
        How::Reset => host.reset(),
        How::Vanish => host.vanish(),
    }
}

/// The whole life of a session, ended every millisecond: it is told once, both ends know, nothing stays behind.
#[test]
fn at_any_time_by_anybody_in_any_way() {
    for who in [Who::Client, Who::Server] {
        for how in [How::Close, How::CloseUnsaid, How::Reset, How::Vanish] {
            for millis in (0..130).step_by(3) {
                let case = format!("{who:?} {how:?} after {millis} ms");
                let mut world = World::new(&Plan::default());
                let pair = world.visit(&Visit::default());
                world.client(pair).say(REQUEST);
                world.server(pair).reply = RESPONSE.to_vec();
                world.run(Duration::from_millis(millis));
                end(&mut world, pair, who, how);
                world.run(150 * SECOND);
                if how != How::Vanish {
                    assert!(world.client(pair).is_over(), "{case}: the client waits");
                    assert!(world.server(pair).is_over(), "{case}: the server waits");
                }
                world.run(7200 * SECOND);
                let told = world.firewall.told();
                let ends = told.iter().filter(|line| line.starts_with("end ")).count();
                assert_eq!(ends, 1, "{case}: {told:?}");
                let counters = world.firewall.counters();
                assert_eq!((world.firewall.sessions(), counters.held), (0, 0), "{case}");
                assert_eq!(world.firewall.next_wake(), None, "{case}");
                world.firewall.assert_conserved();
            }
        }
    }
}

#[test]
fn a_reset_of_an_open_session_names_its_sender() {
    for (who, reason) in [
        (Who::Client, "tcp-rst-from-client"),
        (Who::Server, "tcp-rst-from-server"),
    ] {
        let mut world = World::new(&Plan::default());
        let pair = crate::opening::ask(&mut world, &Visit::default());
        world.firewall.told();
        end(&mut world, pair, who, How::Reset);
        world.run(SECOND);
        assert_eq!(
            world.firewall.told(),
            [format!("end web-browsing (opened) allow {reason} by all")]
        );
        let other = match who {
            Who::Client => world.server(pair),
            Who::Server => world.client(pair),
        };
        assert!(other.was_reset());
    }
}

/// Half closed: what the other side still says arrives.
#[test]
fn a_server_may_go_on_after_the_client_has_closed() {
    let mut world = World::new(&Plan::default());
    let pair = crate::opening::ask(&mut world, &Visit::default());
    world.server(pair).say(b" and more");
    world.client(pair).close();
    world.client(pair).deaf = false;
    world.run(SECOND);
    assert!(world.client(pair).heard.ends_with(b" and more"));
    assert!(world.client(pair).saw_the_end() && world.server(pair).saw_the_end());
}

/// The firewall stops: both ends are told, and nothing is left out.
#[test]
fn the_end_of_the_firewall_is_told() {
    let mut world = World::new(&Plan::default());
    let pair = crate::opening::ask(&mut world, &Visit::default());
    world.firewall.told();
    world.finish();
    let cleared = world.firewall.told();
    assert_eq!(cleared, ["end web-browsing (opened) allow unknown by all"]);
    world.run(SECOND);
    assert!(world.client(pair).was_reset() && world.server(pair).was_reset());
}
