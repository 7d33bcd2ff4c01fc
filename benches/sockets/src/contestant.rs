//! The process of a server: started, watched and ended by its id.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::{Add, Sub};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::ClockId;
use nix::unistd::Pid;

use crate::Failure;

/// How long a server may take to end once its input has.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Contestant {
    pub(crate) title: String,
    child: Child,
    port: u16,
}

/// How the CPU time of a process divides, in ticks of the kernel, which samples: only their ratio over
/// a while means anything.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ticks {
    pub(crate) user: u64,
    pub(crate) system: u64,
}

impl Add for Ticks {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            user: self.user + other.user,
            system: self.system + other.system,
        }
    }
}

impl Sub for Ticks {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user - earlier.user,
            system: self.system - earlier.system,
        }
    }
}

impl Contestant {
    /// Starts a server that prints its port and ends when its input does.
    pub(crate) fn start(title: String, command: &[String]) -> Result<Self, Failure> {
        let (program, arguments) = command.split_first().ok_or("no command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let out = child.stdout.take().ok_or("no standard output")?;
        let mut contestant = Self {
            title,
            child,
            port: 0,
        };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        contestant.port = line
            .trim()
            .parse()
            .map_err(|_| format!("printed {line:?} in place of its port"))?;
        Ok(contestant)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// What the process has taken up to now, all of its threads together, to the nanosecond.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Failure> {
        let id = i32::try_from(self.child.id())?;
        Ok(ClockId::pid_cpu_clock_id(Pid::from_raw(id))?.now()?.into())
    }

    pub(crate) fn ticks(&self) -> Result<Ticks, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is the program's name, which may hold anything; see proc(5).
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/<pid>/stat")?;
        let mut times = fields.split_whitespace().skip(11);
        let mut next = || times.next().ok_or("no times in /proc/<pid>/stat");
        Ok(Ticks {
            user: next()?.parse()?,
            system: next()?.parse()?,
        })
    }

    /// Has the process end, which has to be in good order.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        drop(self.child.stdin.take());
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("ended with {status}").into()),
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
        Err(format!("still there after {PATIENCE:?}").into())
    }
}

impl Drop for Contestant {
    /// Leaves nothing behind when the run fails. Of a process that has ended already, nothing is
    /// asked for here.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
