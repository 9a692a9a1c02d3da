//! Reads annotations one by one and gathers what is wrong with them, so that a user hears of everything at once.

use std::fmt::{self, Display};

use super::keys::Key;
use crate::ground::pod::Texts;

/// Longest part of a bad value that a message repeats, in bytes, escapes included: the API server cuts warnings off at
/// 256.
const QUOTED: usize = 60;

/// What is wrong with one annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether it is wrong or early.
    pub kind: ProblemKind,
    key: &'static Key,
    /// `None` where the annotation is absent.
    value: Option<String>,
    fault: String,
}

/// Whether an annotation is wrong, or only ahead of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// The value is none that the annotation takes.
    Bad,
    /// The value is good by itself, and does not go with that of another annotation; the fault says what to do.
    Contradiction,
    /// The value is good, and a later version will do what it asks for.
    NotBuilt,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut room = QUOTED;
        let fits = |c: &char| {
            let length = c.escape_debug().map(char::len_utf8).sum();
            room.checked_sub(length).inspect(|left| room = *left).is_some()
        };
        write!(f, "{}: ", self.key.name)?;
        if let Some(whole) = &self.value {
            let value: String = whole.chars().take_while(fits).collect();
            let cut = if value.len() < whole.len() { "…" } else { "" };
            write!(f, "{value:?}{cut} ")?;
        }
        f.write_str(&self.fault)?;
        match (self.kind, self.key.default) {
            (ProblemKind::Bad, _) => write!(f, "; use {}", self.key.takes),
            (ProblemKind::Contradiction, _) => Ok(()),
            (ProblemKind::NotBuilt, "–") => f.write_str("; leave it out"),
            (ProblemKind::NotBuilt, default) => write!(f, "; leave it out or use {default:?}"),
        }
    }
}

pub(super) struct Reader<'p, 'a> {
    annotations: &'p Texts<'a>,
    problems: Vec<Problem>,
}

impl<'p, 'a> Reader<'p, 'a> {
    pub(super) fn new(annotations: &'p Texts<'a>) -> Self {
        Self { annotations, problems: Vec::new() }
    }

    /// The value of `key` as `parse` reads it; `None` where it is absent or (then noted) bad.
    pub(super) fn read<T, E: Display>(
        &mut self,
        key: &'static Key,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.annotations.get(key.name)?.trim();
        parse(value).map_err(|fault| self.bad(key, fault.to_string())).ok()
    }

    /// Whether the pod carries `key`.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.annotations.contains_key(key.name)
    }

    /// Whether the pod carries `key` with another value than its default.
    pub(super) fn is_more_than_default(&self, key: &Key) -> bool {
        self.annotations.get(key.name).is_some_and(|value| value.trim() != key.default)
    }

    /// Notes the value of `key`, unless `is_default` says that it asks for nothing beyond the default.
    pub(super) fn not_built(
        &mut self,
        key: &'static Key,
        is_default: impl FnOnce(&str) -> Result<bool, &'static str>,
    ) {
        if self.read(key, is_default) == Some(false) {
            self.note(ProblemKind::NotBuilt, key, "is not supported by this version yet".to_owned());
        }
    }

    pub(super) fn bad(&mut self, key: &'static Key, fault: String) {
        self.note(ProblemKind::Bad, key, fault);
    }

    pub(super) fn contradicts(&mut self, key: &'static Key, fault: &str) {
        self.note(ProblemKind::Contradiction, key, fault.to_owned());
    }

    /// Notes that `key` is not for pods that carry `other`, where this one carries both; whether it does.
    pub(super) fn exclude(&mut self, key: &'static Key, other: &'static Key) -> bool {
        let has_both = [key, other].iter().all(|key| self.annotations.contains_key(key.name));
        if has_both {
            self.contradicts(key, &format!("excludes {}; leave one of them out", other.name));
        }
        has_both
    }

    fn note(&mut self, kind: ProblemKind, key: &'static Key, fault: String) {
        let value = self.annotations.get(key.name).map(|value| (**value).to_owned());
        self.problems.push(Problem { kind, key, value, fault });
    }

    pub(super) fn finish<T>(self, settings: T) -> Result<T, Vec<Problem>> {
        if self.problems.is_empty() { Ok(settings) } else { Err(self.problems) }
    }
}

pub(super) fn check_that(holds: bool, fault: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault.to_owned()) }
}
