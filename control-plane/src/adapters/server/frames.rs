//! HTTP/2 frames that ask for nothing: pings, settings, priorities, windows, resets, empty data.
//!
//! Each costs its sender a few bytes, and us a look, often an answer. HTTP itself bounds none of them.

use std::time::{Duration, Instant};

/// A client's preface before its first frame, by RFC 9113, section 3.4.
const PREFACE: usize = 24;
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// After a pause this many may come at once; a usual client sends some ten at its start.
const BURST: u32 = 1_000;
/// From then on one in this time, on average.
const INTERVAL: Duration = Duration::from_millis(10);
/// So many bytes that we write allow another: clients answer what they read with windows, and measure with pings.
const BYTES_PER_FRAME: u32 = 256;

/// How far ahead of its pace a connection is with frames that ask for nothing.
#[derive(Debug)]
pub(super) struct Frames {
    head: [u8; HEAD],
    /// Bytes of the head that have come.
    filled: usize,
    /// Bytes that are no head's.
    skip: usize,
    /// When the connection would be on its pace again.
    due: Instant,
    /// What we wrote and have not yet allowed frames for, in bytes.
    written: u32,
}

impl Frames {
    /// Of a connection that begins at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { head: [0; HEAD], filled: 0, skip: PREFACE, due: now, written: 0 }
    }

    /// Notes that we wrote `count` bytes.
    pub(super) fn wrote(&mut self, count: usize) {
        self.written = self.written.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Notes what came at `now`; whether it still is within bounds.
    pub(super) fn heard(&mut self, bytes: &[u8], now: Instant) -> bool {
        let came = INTERVAL * self.idle_frames(bytes);
        let allowed = INTERVAL * (self.written / BYTES_PER_FRAME);
        self.written %= BYTES_PER_FRAME;
        let ahead = (self.due.saturating_duration_since(now) + came).saturating_sub(allowed);
        self.due = now + ahead;
        ahead <= INTERVAL * BURST
    }

    /// Counts those whose head ends in `bytes`.
    fn idle_frames(&mut self, mut bytes: &[u8]) -> u32 {
        let mut count = 0;
        while !bytes.is_empty() {
            let (skipped, rest) = bytes.split_at(self.skip.min(bytes.len()));
            let (head, rest) = rest.split_at((HEAD - self.filled).min(rest.len()));
            self.skip -= skipped.len();
            self.head[self.filled..self.filled + head.len()].copy_from_slice(head);
            self.filled += head.len();
            bytes = rest;
            if self.filled == HEAD {
                let [high, middle, low, kind, ..] = self.head;
                self.skip = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.filled = 0;
                count += u32::from(kind != HEADERS && (kind != DATA || self.skip == 0));
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, 0, 0, 0, 0, 1];
        frame.resize(HEAD + usize::from(length), 0xFF);
        frame
    }

    proptest! {
        #[test]
        fn frames_are_told_apart_however_their_bytes_come(
            sent in prop::collection::vec((0_u8..12, any::<u8>()), 0..50),
            piece in 1_usize..100,
        ) {
            let mut bytes = vec![b'P'; PREFACE];
            bytes.extend(sent.iter().flat_map(|(kind, length)| frame(*kind, *length)));
            let idle = sent.iter().filter(|(kind, length)| *kind > 1 || (*kind, *length) == (0, 0)).count();
            let mut frames = Frames::new(Instant::now());
            let counted: u32 = bytes.chunks(piece).map(|bytes| frames.idle_frames(bytes)).sum();
            prop_assert_eq!(counted as usize, idle);
        }
    }

    /// How many pings at once are too many at `now`.
    fn until_refused(frames: &mut Frames, now: Instant) -> u32 {
        let ping = frame(PING, 8);
        (1..10_000).find(|_| !frames.heard(&ping, now)).unwrap()
    }

    #[test]
    fn a_flood_is_too_much_and_a_steady_beat_is_not() {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        assert!(frames.heard(&[b'P'; PREFACE], now));
        assert_eq!(until_refused(&mut frames, now), BURST + 1);
        let (mut frames, ping) = (Frames::new(now), frame(PING, 8));
        assert!(frames.heard(&[b'P'; PREFACE], now));
        assert!((0..100_000).all(|beat| frames.heard(&ping, now + INTERVAL * beat)));
    }

    #[test]
    fn who_is_sent_much_may_say_more() {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        assert!(frames.heard(&[b'P'; PREFACE], now));
        let window = frame(8, 4);
        let mut is_fine = (0..100_000).map(|_| {
            frames.wrote(16 << 10);
            frames.heard(&window, now)
        });
        assert!(is_fine.all(|is_fine| is_fine));
    }

    #[test]
    fn what_was_written_long_ago_allows_no_flood() {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        assert!(frames.heard(&[b'P'; PREFACE], now));
        frames.wrote(usize::MAX);
        assert!(frames.heard(&frame(PING, 8), now));
        assert_eq!(until_refused(&mut frames, now), BURST + 1);
    }
}
