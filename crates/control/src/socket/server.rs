//! The server's thread: accepts clients, each of which converses in a task of its own.

use std::{
    fmt, io,
    os::unix::net::UnixListener as StdListener,
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixStream},
    runtime::{Builder, Runtime},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::{
    Answer, ServerCounters, ServerLimits, Sockets,
    bind::SocketFiles,
    conversation::{Conversation, Room},
    json,
    limits::count,
    socket_for,
};
use crate::{CommandError, ErrorCode, Privilege};

/// A client is accepted at most this often: whoever connects in a loop costs no more.
const ACCEPT_INTERVAL: Duration = Duration::from_millis(1);
/// After the system refused to accept one: it is out of file descriptors or memory.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Answers commands on both sockets until it is stopped or dropped.
pub struct Server {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<ServerCounters>,
}

impl Sockets {
    /// Starts the thread that answers.
    ///
    /// # Errors
    ///
    /// Where the system gives no thread.
    pub fn serve(self, answer: Arc<dyn Answer>, limits: ServerLimits) -> io::Result<Server> {
        let (stop, stopping) = watch::channel(false);
        let counters = Arc::new(ServerCounters::default());
        let stats = Door::new(&self, Privilege::Read, answer.clone(), limits, counters.clone());
        let control = Door::new(&self, Privilege::Write, answer, limits, counters.clone());
        // A command in each turn of both sockets.
        let blocking = limits.concurrent.saturating_mul(2).max(1);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(blocking)
            .thread_name("control-answer")
            .build()?;
        let listeners = {
            let _inside = runtime.enter();
            (adopt(self.stats)?, adopt(self.control)?)
        };
        let files = self.files;
        let thread = thread::Builder::new().name("control".to_owned()).spawn(move || {
            run(runtime, listeners, [stats, control], stopping, limits.grace);
            drop::<SocketFiles>(files);
        })?;
        Ok(Server {
            stop,
            thread: Some(thread),
            counters,
        })
    }
}

fn adopt(listener: StdListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

impl Server {
    /// What it has done.
    pub fn counters(&self) -> &Arc<ServerCounters> {
        &self.counters
    }

    /// Accepts nobody any more, lets commands in work end for [`ServerLimits::grace`], removes the files.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic there has been told by the panic hook.
            drop(thread.join());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

fn run(
    runtime: Runtime,
    (stats, control): (UnixListener, UnixListener),
    doors: [Door; 2],
    stopping: watch::Receiver<bool>,
    grace: Duration,
) {
    let [stats_door, control_door] = doors;
    runtime.block_on(async {
        tokio::join!(
            stats_door.keep(stats, stopping.clone(), grace),
            control_door.keep(control, stopping, grace),
        );
    });
    // Commands that outlast the grace are left to end with the process.
    runtime.shutdown_timeout(Duration::ZERO);
}

/// One socket, and who may come in.
struct Door {
    room: Arc<Room>,
    places: Arc<Semaphore>,
}

impl Door {
    fn new(
        sockets: &Sockets,
        privilege: Privilege,
        answer: Arc<dyn Answer>,
        limits: ServerLimits,
        counters: Arc<ServerCounters>,
    ) -> Self {
        let clients = match privilege {
            Privilege::Read => limits.stats_clients,
            Privilege::Write => limits.control_clients,
        };
        let control: PathBuf = socket_for(&sockets.path, Privilege::Write);
        Self {
            places: Arc::new(Semaphore::new(clients)),
            room: Arc::new(Room {
                privilege,
                control,
                answer,
                turns: Semaphore::new(limits.concurrent.max(1)),
                answers: Semaphore::new(Room::units(limits.answers)),
                limits,
                counters,
            }),
        }
    }

    /// Accepts clients until told to stop, then waits for those that are being answered.
    async fn keep(self, listener: UnixListener, mut stopping: watch::Receiver<bool>, grace: Duration) {
        let mut clients = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopping.wait_for(|stop| *stop) => break,
            };
            while clients.try_join_next().is_some() {}
            if let Ok((stream, _)) = accepted {
                self.admit(stream, &mut clients, &stopping);
            } else {
                count(&self.room.counters.accept_errors);
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
            tokio::time::sleep(ACCEPT_INTERVAL).await;
        }
        drop(listener);
        let ended = async { while clients.join_next().await.is_some() {} };
        // Past the grace the rest is cut off when the set is dropped.
        drop(tokio::time::timeout(grace, ended).await);
    }

    fn admit(&self, stream: UnixStream, clients: &mut JoinSet<()>, stopping: &watch::Receiver<bool>) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            count(&self.room.counters.clients_refused);
            let refusal = CommandError::new(
                ErrorCode::Busy,
                "too many clients are connected: try again when one has gone",
            );
            // A fresh socket has room for it; who cannot take it sees the end.
            drop(stream.try_write(&json::error(&refusal)));
            return;
        };
        count(&self.room.counters.clients);
        let conversation = Conversation::new(self.room.clone(), &stream);
        let stopping = stopping.clone();
        clients.spawn(async move {
            conversation.hold(stream, stopping).await;
            drop(place);
        });
    }
}
