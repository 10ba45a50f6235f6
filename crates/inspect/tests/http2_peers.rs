//! A real HTTP/2 client and a real server with the inspector between them, bytes cut anywhere: every
//! stream ends as it should, whatever was answered in between.

#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it expected")]

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use bytes::Bytes;
use cordon_inspect::http::{DnsRuling, Event, HttpInspector, HttpVersion, Judge, Passage, Ruling};
use data_encoding::BASE64URL_NOPAD;
use h2::{RecvStream, client, server};
use http::{Request, Response, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::LocalSet,
};

/// Ends a test in which everybody waits for somebody else.
const PATIENCE: Duration = Duration::from_secs(20);
/// Forged messages are long enough to use a window up in a few dozen answers.
const FORGED: [u8; 3000] = [7; 3000];

#[derive(Default)]
struct Heard {
    requests: usize,
    responses: usize,
    departed: bool,
}

struct Resolver(Rc<RefCell<Heard>>);

impl Judge for Resolver {
    fn event(&mut self, event: &Event<'_>) -> Ruling {
        let mut heard = self.0.borrow_mut();
        match event {
            Event::Request { host, .. } => {
                assert_eq!(host.map(|host| host.to_string()).as_deref(), Some("r.example"));
                heard.requests += 1;
            }
            Event::Response { .. } => heard.responses += 1,
            Event::NotHttp(_) => heard.departed = true,
        }
        Ruling::Allow
    }

    fn dns_query(&mut self, message: &[u8], reply: &mut Vec<u8>) -> DnsRuling {
        if message.windows(6).any(|part| part == b"listed") {
            reply.extend_from_slice(&FORGED);
            DnsRuling::Answer
        } else if message.windows(6).any(|part| part == b"banned") {
            DnsRuling::Refuse
        } else {
            DnsRuling::Pass
        }
    }

    fn dns_reply(&mut self, message: &[u8], replacement: &mut Vec<u8>) -> DnsRuling {
        if message.windows(5).any(|part| part == b"alias") {
            replacement.extend_from_slice(&FORGED);
            DnsRuling::Answer
        } else {
            DnsRuling::Pass
        }
    }
}

/// Steady noise (an LCG), so that a failing seed fails again.
#[derive(Clone)]
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

fn query(label: &str) -> Vec<u8> {
    let length = u8::try_from(label.len()).expect("short");
    [
        b"\0\0\x01\0\0\x01\0\0\0\0\0\0",
        &[length][..],
        label.as_bytes(),
        b"\x07example\0\0\x01\0\x01",
    ]
    .concat()
}

/// Carries bytes between the two, cut at random, through the inspector.
async fn relay(mut near: DuplexStream, mut far: DuplexStream, heard: Rc<RefCell<Heard>>, mut noise: Noise) {
    let mut inspector = HttpInspector::new(HttpVersion::Unknown);
    let mut judge = Resolver(heard);
    let most = [60, 400, 3000, 20_000][noise.below(4)];
    let (mut from_client, mut from_server) = (vec![0; most], vec![0; most]);
    loop {
        // Every eighth cut leaves a few bytes.
        let size = |noise: &mut Noise| {
            1 + if noise.below(8) == 0 {
                noise.below(9)
            } else {
                noise.below(most)
            }
        };
        let (client_len, server_len) = (size(&mut noise), size(&mut noise));
        let (a, b) = (&mut from_client[..client_len], &mut from_server[..server_len]);
        let (side, read) = if noise.below(2) == 0 {
            tokio::select! {
                biased;
                read = near.read(a) => (true, read),
                read = far.read(b) => (false, read),
                () = tokio::time::sleep(PATIENCE) => panic!("everybody waits: {inspector:?}"),
            }
        } else {
            tokio::select! {
                biased;
                read = far.read(b) => (false, read),
                read = near.read(a) => (true, read),
                () = tokio::time::sleep(PATIENCE) => panic!("everybody waits: {inspector:?}"),
            }
        };
        let read = match read {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        let bytes = if side {
            &from_client[..read]
        } else {
            &from_server[..read]
        };
        let (mut onward, mut back) = (Vec::new(), Vec::new());
        let passage = inspector.push(side, bytes, &mut judge, &mut onward, &mut back);
        let onward = match passage {
            Passage::Pass => bytes,
            Passage::Replaced => &onward,
            Passage::Cut => panic!("nothing here is to be cut"),
        };
        assert!(inspector.memory() < 600_000);
        let (to_server, to_client): (&[u8], &[u8]) = if side { (onward, &back) } else { (&back, onward) };
        if far.write_all(to_server).await.is_err() || near.write_all(to_client).await.is_err() {
            return;
        }
    }
}

async fn body_of(mut body: RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.expect("whole data");
        body.flow_control()
            .release_capacity(data.len())
            .expect("was taken");
        all.extend_from_slice(&data);
    }
    if body.trailers().await.expect("trailers or none").is_some() {
        all.extend_from_slice(b"+trailers");
    }
    all
}

/// Answers what comes: DNS with a message, anything else with as many bytes as its path says.
async fn serve(stream: DuplexStream, seen: Rc<RefCell<Vec<Vec<u8>>>>) {
    let mut connection = server::Builder::new()
        .initial_window_size(100_000)
        .handshake::<_, Bytes>(stream)
        .await
        .expect("a client");
    while let Some(request) = connection.accept().await {
        let Ok((request, mut respond)) = request else {
            return;
        };
        let seen = Rc::clone(&seen);
        tokio::task::spawn_local(async move {
            let (head, body) = request.into_parts();
            let mut said = head
                .uri
                .path_and_query()
                .expect("a path")
                .as_str()
                .as_bytes()
                .to_vec();
            let dns = head
                .headers
                .get("content-type")
                .is_some_and(|kind| kind == "application/dns-message");
            // A query that is answered in between may end in a reset: then nothing was asked.
            let mut body = body;
            while let Some(data) = body.data().await {
                let Ok(data) = data else { return };
                if body.flow_control().release_capacity(data.len()).is_err() {
                    return;
                }
                said.extend_from_slice(&data);
            }
            seen.borrow_mut().push(said.clone());
            let reply = if dns || said.starts_with(b"/q?dns=") {
                let alias = said.windows(4).any(|part| part == b"asks") || said.ends_with(b"a");
                if alias {
                    b"an alias".to_vec()
                } else {
                    b"a reply".to_vec()
                }
            } else {
                let size: usize = head.uri.path()[1..].parse().expect("a size");
                vec![9; size]
            };
            let kind = if dns || said.starts_with(b"/q?dns=") {
                "application/dns-message"
            } else {
                "text/plain"
            };
            let response = Response::builder()
                .header("content-type", kind)
                .header("content-length", reply.len())
                .header("x-echo", head.headers.get("x-number").expect("numbered"))
                .body(())
                .expect("a response");
            let Ok(mut send) = respond.send_response(response, false) else {
                return;
            };
            drop(send.send_data(Bytes::from(reply), true));
        });
    }
}

/// What a client asks, and what must come of it.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Plain(usize),
    Upload(usize),
    Get(&'static str),
    Post(&'static str),
    /// A body that comes only after other streams were opened.
    SlowPost(&'static str),
}

async fn ask(mut send: client::SendRequest<Bytes>, ask: Ask, number: usize) {
    let request = |method, path: String, dns: bool| {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://r.example{path}"))
            .header("x-number", number.to_string())
            .header("cookie", format!("session={}", "x".repeat(number % 90)));
        if dns {
            request = request.header("content-type", "application/dns-message");
        }
        request.body(()).expect("a request")
    };
    let label = match ask {
        Ask::Plain(_) | Ask::Upload(_) => "",
        Ask::Get(label) | Ask::Post(label) | Ask::SlowPost(label) => label,
    };
    let (request, body) = match ask {
        Ask::Plain(size) => (request("GET", format!("/{size}"), false), None),
        Ask::Upload(size) => (request("PUT", "/5".to_owned(), false), Some(vec![3; size])),
        Ask::Get(label) => {
            let coded = BASE64URL_NOPAD.encode(&query(label));
            let mark = if label == "asks" { "&a" } else { "" };
            (request("GET", format!("/q?dns={coded}{mark}"), false), None)
        }
        Ask::Post(label) | Ask::SlowPost(label) => {
            (request("POST", "/q".to_owned(), true), Some(query(label)))
        }
    };
    // The client's own order of things: streams wait for their turn.
    send = send.ready().await.expect("a connection");
    let (response, mut stream) = send.send_request(request, body.is_none()).expect("sent");
    if let Some(body) = body {
        if let Ask::SlowPost(_) = ask {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        let half = body.len() / 2;
        stream
            .send_data(Bytes::from(body[..half].to_vec()), false)
            .expect("data");
        stream
            .send_data(Bytes::from(body[half..].to_vec()), true)
            .expect("data");
    }
    let response = response.await.unwrap_or_else(|error| panic!("{ask:?}: {error}"));
    let status = response.status();
    let echoed = response.headers().get("x-echo").cloned();
    let body = body_of(response.into_body()).await;
    match (ask, label) {
        (Ask::Plain(size), _) => assert!(body == vec![9; size], "{ask:?}"),
        (Ask::Upload(_), _) => assert!(body == vec![9; 5]),
        (_, "listed") => assert!(body == FORGED && status == StatusCode::OK, "{ask:?} {status}"),
        (_, "banned") => assert!(body.is_empty() && status == StatusCode::FORBIDDEN),
        (_, "asks") => assert!(body == FORGED && echoed.is_some(), "{ask:?} {body:?}"),
        _ => assert_eq!(
            (body.as_slice(), status),
            (&b"a reply"[..], StatusCode::OK),
            "{ask:?}"
        ),
    }
    if !matches!(label, "listed" | "banned") {
        let echoed = echoed.expect("the server answered");
        assert_eq!(echoed.to_str().expect("text"), number.to_string());
    }
}

/// Runs one conversation; what the server saw.
fn converse(seed: u64, asks: usize, kinds: &[Ask]) -> (Vec<Vec<u8>>, Heard) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let mut noise = Noise(seed);
    let (seen, heard) = (Rc::default(), Rc::<RefCell<Heard>>::default());
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let (client_end, near) = duplex(1 << 24);
        let (far, server_end) = duplex(1 << 24);
        tokio::task::spawn_local(relay(near, far, Rc::clone(&heard), noise.clone()));
        tokio::task::spawn_local(serve(server_end, Rc::clone(&seen)));
        let mut builder = client::Builder::new();
        if noise.below(2) == 0 {
            builder.header_table_size([0, 100, 100_000][noise.below(3)]);
        }
        if noise.below(2) == 0 {
            builder.initial_connection_window_size(200_000);
        }
        let (send, connection) = builder.handshake(client_end).await.expect("a server");
        tokio::task::spawn_local(async move { connection.await.expect("the connection stands") });
        let mut running = Vec::new();
        for number in 0..asks {
            let kind = kinds[noise.below(kinds.len())];
            running.push(tokio::task::spawn_local(ask(send.clone(), kind, number)));
            if noise.below(4) == 0 {
                for task in running.drain(..) {
                    task.await.expect("an answer");
                }
            }
        }
        for task in running {
            task.await.expect("an answer");
        }
    });
    (seen.take(), heard.take())
}

const KINDS: [Ask; 14] = [
    Ask::Plain(0),
    Ask::Plain(1000),
    Ask::Plain(70_000),
    Ask::Upload(10),
    Ask::Upload(90_000),
    Ask::Get("listed"),
    Ask::Get("banned"),
    Ask::Get("free"),
    Ask::Get("asks"),
    Ask::Post("listed"),
    Ask::Post("banned"),
    Ask::Post("asks"),
    Ask::SlowPost("listed"),
    Ask::SlowPost("free"),
];

#[test]
fn every_stream_ends_as_it_should() {
    for seed in 0..40 {
        let (seen, heard) = converse(seed, 60, &KINDS);
        assert!(!heard.departed, "seed {seed}");
        assert_eq!(heard.requests, 60, "seed {seed}");
        assert!(heard.responses <= seen.len() + 1, "seed {seed}");
        let coded = ["listed", "banned"].map(|label| BASE64URL_NOPAD.encode(&query(label)).into_bytes());
        for said in seen {
            let leaks = |what: &[u8]| said.windows(what.len()).any(|part| part == what);
            assert!(!leaks(b"listed") && !leaks(b"banned") && !coded.iter().any(|coded| leaks(coded)));
        }
    }
}

#[test]
fn answers_given_here_do_not_use_up_the_windows() {
    for seed in 100..110 {
        // Each of these outweighs the 64 KiB that a connection begins with, several times over.
        let (_, heard) = converse(
            seed,
            120,
            &[Ask::Get("listed"), Ask::Post("asks"), Ask::Plain(30_000)],
        );
        assert!(!heard.departed);
    }
}

#[test]
fn a_session_without_dns_is_not_touched() {
    for seed in 200..220 {
        let (seen, heard) = converse(seed, 40, &KINDS[..5]);
        assert_eq!((seen.len(), heard.requests, heard.responses), (40, 40, 40));
        let sizes: BTreeSet<usize> = seen.iter().map(Vec::len).collect();
        assert!(sizes.len() > 1);
    }
}
