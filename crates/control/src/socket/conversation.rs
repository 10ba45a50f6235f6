//! One client: a line in, a line out, one after the other.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use nix::unistd::{Uid, User};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    sync::{Semaphore, SemaphorePermit, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{Answer, ServerCounters, ServerLimits, answer, json, limits::count};
use crate::{Command, CommandError, ErrorCode, Privilege, Show};

/// What the clients of one socket share.
pub(super) struct Room {
    pub(super) privilege: Privilege,
    /// The path of the control socket, to tell those who are wrong here.
    pub(super) control: PathBuf,
    pub(super) answer: Arc<dyn Answer>,
    /// Held while a command is answered.
    pub(super) turns: Semaphore,
    /// Held while a client reads an answer, a permit for every [`Room::UNIT`] bytes.
    pub(super) answers: Semaphore,
    pub(super) limits: ServerLimits,
    pub(super) counters: Arc<ServerCounters>,
}

impl Room {
    /// Answers are counted in units of so many bytes; what is shorter than one is free.
    const UNIT: usize = 64 << 10;

    pub(super) const fn units(bytes: usize) -> usize {
        let units = bytes / Self::UNIT;
        if units < Semaphore::MAX_PERMITS {
            units
        } else {
            Semaphore::MAX_PERMITS
        }
    }
}

/// One client.
pub(super) struct Conversation {
    room: Arc<Room>,
    peer: Arc<Peer>,
}

/// Who is at the other end.
struct Peer {
    uid: Option<u32>,
    name: OnceLock<String>,
}

impl Peer {
    /// By name, looked up once. May wait for a directory service.
    fn name(&self) -> &str {
        self.name.get_or_init(|| {
            let Some(uid) = self.uid else {
                return "unknown".to_owned();
            };
            match User::from_uid(Uid::from_raw(uid)) {
                Ok(Some(user)) if !user.name.is_empty() && !user.name.chars().any(char::is_control) => {
                    user.name
                }
                Ok(_) | Err(_) => uid.to_string(),
            }
        })
    }
}

impl Conversation {
    pub(super) fn new(room: Arc<Room>, stream: &UnixStream) -> Self {
        // Of the moment it connected, from the kernel.
        let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
        let peer = Arc::new(Peer {
            uid,
            name: OnceLock::new(),
        });
        Self { room, peer }
    }

    /// Answers lines until the client goes, stalls or errs beyond repair, or the server stops.
    pub(super) async fn hold(self, mut stream: UnixStream, mut stopping: watch::Receiver<bool>) {
        let (read, mut write) = stream.split();
        let mut read = BufReader::new(read);
        let limits = self.room.limits;
        let mut line = Vec::new();
        loop {
            line.clear();
            // An idle client holds no more than this.
            line.shrink_to(4 << 10);
            let began = Instant::now();
            let most = u64::try_from(Command::MAX_LINE)
                .unwrap_or(u64::MAX)
                .saturating_add(1);
            let mut limited = (&mut read).take(most);
            let got = tokio::select! {
                got = timeout(limits.line_time, limited.read_until(b'\n', &mut line)) => got,
                _ = stopping.wait_for(|stop| *stop) => return,
            };
            match got {
                Err(_) => return count(&self.room.counters.clients_timed_out),
                Ok(Err(_) | Ok(0)) => return,
                Ok(Ok(_)) => {}
            }
            let too_long = line.len() > Command::MAX_LINE && line.last() != Some(&b'\n');
            let (reply, _held) = self.reply(&line).await;
            match timeout(limits.read_time, write.write_all(&reply)).await {
                Err(_) => return count(&self.room.counters.clients_timed_out),
                Ok(Err(_)) => return,
                Ok(Ok(())) => {}
            }
            if too_long {
                // Where the next command begins is not known.
                return;
            }
            if self.room.privilege == Privilege::Read {
                sleep_until(began + limits.command_interval).await;
            }
        }
    }

    /// What a line is answered, and the permit to keep it in memory.
    async fn reply(&self, line: &[u8]) -> (Vec<u8>, Option<SemaphorePermit<'_>>) {
        let room = &self.room;
        count(&room.counters.commands);
        let answered = match self.understand(line) {
            Ok(command) => self.answer(command).await,
            Err(error) => Err(error),
        };
        let answered = answered.and_then(|line| self.hold_in_memory(line));
        answered.unwrap_or_else(|error| {
            count(&room.counters.commands_failed);
            (json::error(&error), None)
        })
    }

    fn understand(&self, line: &[u8]) -> Result<Command, CommandError> {
        let text = std::str::from_utf8(line)
            .map_err(|_| CommandError::new(ErrorCode::Usage, "a command is UTF-8 text"))?;
        let command = Command::parse(text)?;
        if command.privilege() > self.room.privilege {
            return Err(CommandError::new(
                ErrorCode::NotAllowed,
                format!("this socket only answers; ask {}", self.room.control.display()),
            ));
        }
        Ok(command)
    }

    /// Has the command answered by a thread that may wait.
    async fn answer(&self, command: Command) -> Result<json::Line, CommandError> {
        let limit = self.room.limits.answer;
        let Ok(_turn) = self.room.turns.acquire().await else {
            return Err(CommandError::new(ErrorCode::Stopping, "the firewall is ending"));
        };
        let (answer, peer) = (self.room.answer.clone(), self.peer.clone());
        let work = move || {
            let value = if command == Command::Help {
                answer::help()
            } else if let Command::Show(Show::FilterFields(log_type)) = command {
                answer::filter_fields(log_type)
            } else {
                answer.answer(peer.name(), command)?
            };
            json::line(value, limit)
                .ok_or_else(|| CommandError::new(ErrorCode::TooLong, "the answer is too long: ask for less"))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(answered) => answered,
            Err(_) => Err(CommandError::new(
                ErrorCode::Internal,
                "this command failed inside the firewall, which goes on; its log says where",
            )),
        }
    }

    fn hold_in_memory(
        &self,
        line: json::Line,
    ) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), CommandError> {
        if line.truncated {
            count(&self.room.counters.answers_truncated);
        }
        let units = u32::try_from(Room::units(line.bytes.len())).unwrap_or(u32::MAX);
        if units == 0 {
            return Ok((line.bytes, None));
        }
        if let Ok(permit) = self.room.answers.try_acquire_many(units) {
            return Ok((line.bytes, Some(permit)));
        }
        count(&self.room.counters.answers_refused);
        Err(CommandError::new(
            ErrorCode::Busy,
            "other clients are reading long answers: try again, or ask for less",
        ))
    }
}
