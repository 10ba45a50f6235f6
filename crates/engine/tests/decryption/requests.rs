//! Requests inside opened sessions have records of their own.

use crate::{
    firewall::Plan,
    opening::{RESPONSE, SECOND, ask},
    world::{Visit, World},
};

#[test]
fn each_request_of_an_opened_session_is_recorded() {
    let mut world = World::new(&Plan::default());
    let pair = ask(&mut world, &Visit::default());
    let next: &[u8] = b"POST /a\"b?c=d HTTP/1.1\r\nHost: bank.example:8443\r\nContent-Length: 0\r\n\r\n";
    world.client(pair).say(next);
    world.run(SECOND);
    assert_eq!(world.firewall.told(), ["opened www.example.org by Decrypt-Lab"]);
    assert_eq!(
        world.firewall.requests(),
        [
            "alert GET www.example.org/page [] by all",
            // The category is that of the request, not of the session.
            "alert POST bank.example/a\\034b?c=d [financial-services] by all",
        ]
    );
    world.firewall.assert_conserved();
}

/// A rule without a `log-setting`, and a session that stays closed.
#[test]
fn what_nobody_forwards_or_reads_has_none() {
    let silent = Plan {
        tagging: false,
        ..Plan::default()
    };
    let closed = Visit {
        name: "bank.example",
        ..Visit::default()
    };
    for (plan, visit) in [(silent, Visit::default()), (Plan::default(), closed)] {
        let mut world = World::new(&plan);
        ask(&mut world, &visit);
        world.firewall.told();
        assert_eq!(world.firewall.requests(), [""; 0]);
    }
}

/// Where no host is named, the server's address stands for it.
#[test]
fn a_request_without_a_host() {
    let mut world = World::new(&Plan::default());
    let pair = world.visit(&Visit::default());
    world.client(pair).say(b"GET /old HTTP/1.0\r\n\r\n");
    world.server(pair).reply = RESPONSE.to_vec();
    world.run(SECOND);
    world.firewall.told();
    let address = Visit::default().server.ip();
    assert_eq!(
        world.firewall.requests(),
        [format!("alert GET {address}/old [] by all")]
    );
}

/// A proxy between the clients and the firewall names the client it speaks for.
#[test]
fn a_request_on_behalf_of_another() {
    let mut world = World::new(&Plan::default());
    let pair = world.visit(&Visit::default());
    world
        .client(pair)
        .say(b"GET / HTTP/1.1\r\nHost: www.example.org\r\nX-Forwarded-For: 192.168.7.8, 10.0.0.1\r\n\r\n");
    world.server(pair).reply = RESPONSE.to_vec();
    world.run(SECOND);
    world.firewall.told();
    assert_eq!(
        world.firewall.requests(),
        ["alert GET www.example.org/ [] by all for 192.168.7.8"]
    );
}
