//! The one way out of a network without one: connections that are made inside are carried to one place outside.
//!
//! The listening socket is made inside and handed out here, so the confined program holds no descriptor of the world.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Relay;

/// Connections at a time.
const MOST: usize = 64;

/// Carries connections until it is dropped.
pub(super) struct Carrier(Arc<AtomicBool>);

impl Carrier {
    pub(super) fn start(listener: TcpListener, to: Relay) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        thread::spawn(move || accept(&listener, &to, &seen));
        Self(over)
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn accept(listener: &TcpListener, to: &Relay, over: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    let pause = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    while !over.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        if !matches!(poll(&mut fds, Some(&pause)), Ok(1..)) {
            continue;
        }
        let Ok((inner, _)) = listener.accept() else { return };
        if open.load(Ordering::Relaxed) >= MOST {
            continue;
        }
        open.fetch_add(1, Ordering::Relaxed);
        let (to, open) = (to.clone(), Arc::clone(&open));
        thread::spawn(move || {
            // A place that cannot be reached shows inside as a connection that ends.
            drop(carry(&inner, &to));
            drop(inner.shutdown(Shutdown::Both));
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn carry(inner: &TcpStream, to: &Relay) -> io::Result<()> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    let mut outer = None;
    for address in (to.host.as_str(), to.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(10)) {
            Ok(stream) => outer = Some(stream),
            Err(error) => last = error,
        }
        if outer.is_some() {
            break;
        }
    }
    let outer = outer.ok_or(last)?;
    let (mut from_inner, mut to_outer) = (inner.try_clone()?, outer.try_clone()?);
    let back = thread::spawn(move || {
        drop(io::copy(&mut from_inner, &mut to_outer));
        drop(to_outer.shutdown(Shutdown::Write));
    });
    drop(io::copy(&mut &outer, &mut &*inner));
    drop(inner.shutdown(Shutdown::Both));
    drop(outer.shutdown(Shutdown::Both));
    drop(back.join());
    Ok(())
}
