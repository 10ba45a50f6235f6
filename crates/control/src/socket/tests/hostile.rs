//! Clients that flood, stall, send garbage or go away.

use super::*;

fn hurried() -> ServerLimits {
    ServerLimits {
        stats_clients: 3,
        control_clients: 2,
        line_time: Duration::from_millis(300),
        read_time: Duration::from_millis(300),
        grace: Duration::from_millis(300),
        ..ServerLimits::default()
    }
}

/// Waits until a condition holds, and fails where it never does.
fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it never came to that");
}

#[test]
fn one_client_too_many_is_told_so() {
    let running = Running::new(ServerLimits {
        line_time: Duration::from_mins(1),
        ..hurried()
    });
    let mut clients: Vec<Raw> = (0..3).map(|_| Raw::connect(&running.stats())).collect();
    for client in &mut clients {
        assert_eq!(client.ask("show info")["did"], "show info");
    }
    let mut fourth = Raw::connect(&running.stats());
    assert_eq!(fourth.line()["error"]["code"], "busy");
    assert!(fourth.is_closed());
    let refused = running.ask("show info");
    assert!(
        matches!(&refused, Err(AskError::Refused(error)) if error.code == ErrorCode::Busy),
        "{refused:?}"
    );
    // Those who crowd the stats socket do not keep the administrator out.
    assert!(running.ask("confirm").is_ok());
    drop(clients.pop());
    until(|| running.ask("show info").is_ok());
    assert!(running.server.counters().counts().clients_refused >= 2);
}

#[test]
fn who_stalls_is_closed() {
    let running = Running::new(hurried());
    let mut silent = Raw::connect(&running.stats());
    let mut half = Raw::connect(&running.stats());
    half.send(b"show in");
    assert!(silent.is_closed());
    assert!(half.is_closed());
    assert_eq!(running.server.counters().counts().clients_timed_out, 2);
    assert_eq!(running.server.counters().counts().commands, 0);
}

#[test]
fn a_drip_of_bytes_is_no_line() {
    let running = Running::new(hurried());
    let mut client = Raw::connect(&running.stats());
    // Each byte is progress, and still the line must be whole in time.
    let mut sent = 0;
    while client.0.get_mut().write_all(b"x").is_ok() {
        std::thread::sleep(Duration::from_millis(5));
        sent += 1;
        assert!(sent < 4000, "never closed");
    }
    assert_eq!(running.server.counters().counts().clients_timed_out, 1);
}

#[test]
fn a_line_without_end_is_refused() {
    let running = Running::new(ServerLimits::default());
    let mut client = Raw::connect(&running.stats());
    client.send(&vec![b'x'; Command::MAX_LINE + 1]);
    assert_eq!(client.line()["error"]["code"], "too-long");
    assert!(client.is_closed());
    // The longest line is none of these.
    let mut client = Raw::connect(&running.stats());
    let line = "show info".to_owned() + &" ".repeat(Command::MAX_LINE - 9) + "\n";
    client.send(line.as_bytes());
    assert_eq!(client.line()["did"], "show info");
}

#[test]
fn who_does_not_read_is_closed_and_stops_nobody() {
    let running = Running::new(ServerLimits {
        answers: 256 << 10,
        ..hurried()
    });
    // 200 KB do not fit into the kernel's buffers twice.
    let mut deaf = Raw::connect(&running.stats());
    deaf.send("show group long\n".repeat(20).as_bytes());
    until(|| running.server.counters().counts().commands >= 1);
    assert!(running.ask("show info").is_ok());
    until(|| running.server.counters().counts().clients_timed_out == 1);
    let members = running.ask("show group long").unwrap()["members"].take();
    assert_eq!(members.as_array().unwrap().len(), 200);
}

#[test]
fn long_answers_share_their_memory() {
    let running = Running::new(ServerLimits {
        answers: 256 << 10,
        read_time: Duration::from_mins(1),
        ..hurried()
    });
    let mut deaf = Raw::connect(&running.stats());
    deaf.send("show group long\n".repeat(20).as_bytes());
    let busy = |asked: Result<Value, AskError>| matches!(asked, Err(AskError::Refused(error)) if error.code == ErrorCode::Busy);
    until(|| busy(running.ask("show group long")));
    assert!(running.ask("show info").is_ok(), "short answers need no room");
    drop(deaf);
    until(|| running.ask("show group long").is_ok());
    assert!(running.server.counters().counts().answers_refused >= 1);
}

#[test]
fn an_answer_that_is_too_long_loses_rows() {
    let running = Running::new(ServerLimits {
        answer: 50_000,
        ..ServerLimits::default()
    });
    let answer = running.ask("show group long").unwrap();
    assert_eq!(answer["truncated"], true);
    assert_eq!(answer["members"].as_array().unwrap().len(), 49);
    assert_eq!(running.server.counters().counts().answers_truncated, 1);
    let running = Running::new(ServerLimits {
        answer: 20,
        ..ServerLimits::default()
    });
    let Err(AskError::Refused(error)) = running.ask("show group long") else {
        panic!("20 bytes hold no answer");
    };
    assert_eq!(error.code, ErrorCode::TooLong);
}

#[test]
fn who_goes_away_is_forgotten() {
    let running = Running::new(hurried());
    for round in 0..50 {
        let mut client = Raw::connect(&running.control());
        client.send(if round % 2 == 0 {
            b"show group slow\n"
        } else {
            b"show group lo"
        });
        drop(client);
    }
    until(|| running.ask("show info").is_ok());
}

#[test]
fn commands_of_one_socket_share_their_turns() {
    let running = Running::new(ServerLimits {
        concurrent: 2,
        ..ServerLimits::default()
    });
    let mut clients: Vec<Raw> = (0..8).map(|_| Raw::connect(&running.stats())).collect();
    for client in &mut clients {
        client.send(b"show group slow\nshow group slow\n");
    }
    for client in &mut clients {
        assert_eq!(client.line()["name"], "slow");
        assert_eq!(client.line()["name"], "slow");
    }
    let most = running.fake.most_at_once.load(Ordering::SeqCst);
    assert!((1..=2).contains(&most), "{most} at once");
}

#[test]
fn a_flood_of_all_kinds_leaves_room_for_the_administrator() {
    let running = Running::new(hurried());
    let (stats, stop) = (running.stats(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for kind in 0..4 {
            let (stats, stop) = (&stats, &stop);
            scope.spawn(move || {
                while stop.load(Ordering::Relaxed) == 0 {
                    let Ok(mut stream) = UnixStream::connect(stats) else {
                        continue;
                    };
                    // Each ends when the server has closed on it.
                    let _sent = match kind {
                        0 => stream.write_all(&[b'\n'; 10_000]),
                        1 => stream.write_all(&vec![0xff; 100_000]),
                        2 => stream.write_all("show group slow\n".repeat(100).as_bytes()),
                        _ => Ok(()),
                    };
                }
            });
        }
        for _ in 0..20 {
            assert!(running.ask("confirm").is_ok());
        }
        stop.store(1, Ordering::Relaxed);
    });
    assert!(running.server.counters().counts().clients >= 20);
}

#[test]
fn stopping_waits_for_no_client() {
    let running = Running::new(hurried());
    let mut idle = Raw::connect(&running.stats());
    assert_eq!(idle.ask("show info")["did"], "show info");
    let mut deaf = Raw::connect(&running.stats());
    deaf.send("show group long\n".repeat(20).as_bytes());
    let Running { server, folder, .. } = running;
    server.stop();
    assert!(idle.is_closed());
    assert!(UnixStream::connect(folder.path().join("cordon.sock")).is_err());
}
