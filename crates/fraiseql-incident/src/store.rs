//! Incidents on disk: one file each, one line of JSON for each event, synced before anybody is told.
//!
//! A crash leaves at most a line without its end. Readers pass it over, the next writer cuts it off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::IncidentError;
use crate::incident::{Happening, Incident, IncidentEvent};

/// The largest file of an incident that is read or written.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The incidents of a project.
#[derive(Clone, Debug)]
pub struct Incidents {
    folder: PathBuf,
}

impl Incidents {
    /// Returns those in a state directory, which need not exist.
    pub fn in_state(state: &Path) -> Self {
        Self { folder: state.join("incidents") }
    }

    /// Writes down a new incident, and returns it. Two at a time get two numbers.
    pub fn declare(&self, event: IncidentEvent) -> Result<Incident, IncidentError> {
        let folder = || fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        folder().map_err(file("make", &self.folder))?;
        let mut number = self.numbers()?.last().copied().unwrap_or(0) + 1;
        loop {
            let path = self.path(number);
            let mut options = OpenOptions::new();
            match options.read(true).write(true).create_new(true).mode(0o600).open(&path) {
                Ok(new) => {
                    File::open(&self.folder)
                        .and_then(|folder| folder.sync_all())
                        .map_err(file("write", &self.folder))?;
                    return self.append(new, number, event);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(file("write", &path)(error)),
            }
        }
    }

    /// Writes down what happened in an incident, and returns the incident as it is then.
    pub fn add(&self, number: u64, event: IncidentEvent) -> Result<Incident, IncidentError> {
        self.find(number)?;
        let path = self.path(number);
        let open = OpenOptions::new().read(true).write(true).open(&path).map_err(file("write", &path))?;
        self.append(open, number, event)
    }

    /// Returns an incident.
    pub fn find(&self, number: u64) -> Result<Incident, IncidentError> {
        let path = self.path(number);
        match File::open(&path) {
            Ok(mut open) => match self.read(&mut open, number)? {
                (_, events) if events.is_empty() => Err(IncidentError::Unknown { number }),
                (_, events) => self.made(number, events),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Err(IncidentError::Unknown { number }),
            Err(error) => Err(file("read", &path)(error)),
        }
    }

    /// Returns all incidents, the newest first. Passes over what a crash cut off before it was declared.
    pub fn list(&self) -> Result<Vec<Incident>, IncidentError> {
        let mut all = Vec::new();
        for number in self.numbers()?.into_iter().rev() {
            match self.find(number) {
                Ok(incident) => all.push(incident),
                Err(IncidentError::Unknown { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Returns the incident of a number, or the newest.
    pub fn find_or_newest(&self, number: Option<u64>) -> Result<Incident, IncidentError> {
        match number {
            Some(number) => self.find(number),
            None => self.list()?.into_iter().next().ok_or(IncidentError::Nothing),
        }
    }

    /// Adds a line under the file's lock: what was read is what the line follows.
    fn append(&self, mut open: File, number: u64, event: IncidentEvent) -> Result<Incident, IncidentError> {
        let path = self.path(number);
        let failed = file("write", &path);
        open.lock().map_err(file("lock", &path))?;
        let (whole_bytes, mut events) = self.read(&mut open, number)?;
        if !matches!(event.what, Happening::Declared { .. }) {
            self.made(number, events.clone())?.admits(&event.what)?;
        }
        let mut line = serde_json::to_vec(&event).map_err(|error| file("write", &path)(error.into()))?;
        line.push(b'\n');
        if whole_bytes + line.len() as u64 > FILE_BYTES_MAX {
            let reason = format!("the incident has more than {FILE_BYTES_MAX} bytes already");
            return Err(IncidentError::Text { what: "note", reason });
        }
        let mut write = || -> io::Result<()> {
            open.set_len(whole_bytes)?;
            open.seek(SeekFrom::Start(whole_bytes))?;
            open.write_all(&line)?;
            open.sync_all()
        };
        write().map_err(failed)?;
        events.push(event);
        self.made(number, events)
    }

    /// Returns how many bytes whole lines take, and the events in them.
    fn read(&self, open: &mut File, number: u64) -> Result<(u64, Vec<IncidentEvent>), IncidentError> {
        let path = self.path(number);
        let mut text = String::new();
        open.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(file("read", &path))?;
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut events = Vec::new();
        for (index, line) in whole.lines().enumerate() {
            let malformed =
                |reason: String| IncidentError::Malformed { path: path.clone(), line: index + 1, reason };
            let event: IncidentEvent =
                serde_json::from_str(line).map_err(|error| malformed(error.to_string()))?;
            if event.format != IncidentEvent::FORMAT {
                return Err(malformed(format!("format {} is not known here", event.format)));
            }
            events.push(event);
        }
        Ok((whole.len() as u64, events))
    }

    fn made(&self, number: u64, events: Vec<IncidentEvent>) -> Result<Incident, IncidentError> {
        Incident::of(number, events).map_err(|index| IncidentError::Malformed {
            path: self.path(number),
            line: index + 1,
            reason: "this cannot have happened here".to_owned(),
        })
    }

    /// Returns the numbers that are taken, the lowest first. Other files are none of ours.
    fn numbers(&self) -> Result<Vec<u64>, IncidentError> {
        let failed = || file("read", &self.folder);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed()(error)),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed())?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
            if let Some(Ok(number)) = stem.map(str::parse) {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.jsonl"))
    }
}

fn file(action: &'static str, path: &Path) -> impl Fn(io::Error) -> IncidentError {
    let path = path.to_owned();
    move |source| IncidentError::File { action, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::{IncidentSeverity, IncidentState};

    fn event(at_ms: u64, what: Happening) -> IncidentEvent {
        IncidentEvent::new(at_ms, "ann", what).unwrap()
    }

    fn declared(at_ms: u64) -> IncidentEvent {
        event(at_ms, Happening::Declared { severity: IncidentSeverity::Major, title: "errors".to_owned() })
    }

    #[test]
    fn an_incident_goes_from_declared_to_resolved_and_no_further() {
        let state = tempfile::tempdir().unwrap();
        let incidents = Incidents::in_state(state.path());
        assert_eq!(incidents.list().unwrap(), []);
        let number = incidents.declare(declared(1)).unwrap().number;
        incidents.add(number, event(2, Happening::Acknowledged)).unwrap();
        incidents.add(number, event(3, Happening::Resolved { text: "rolled back".to_owned() })).unwrap();
        let error = incidents.add(number, event(4, Happening::Acknowledged)).unwrap_err();
        assert!(matches!(error, IncidentError::Over { number: 1, .. }), "{error}");
        let after = incidents.add(number, event(5, Happening::Noted { text: "why".to_owned() })).unwrap();
        assert_eq!(after.state, IncidentState::Resolved { by: "ann".to_owned(), at_ms: 3 });
        assert_eq!(
            after,
            Incidents::in_state(state.path()).find(1).unwrap(),
            "what is told is what is on disk"
        );
    }

    #[test]
    fn a_crash_in_the_middle_of_a_line_loses_that_line_only() {
        let state = tempfile::tempdir().unwrap();
        let incidents = Incidents::in_state(state.path());
        let before = incidents.declare(declared(1)).unwrap();
        let path = incidents.path(1);
        let whole = fs::read(&path).unwrap();
        incidents.add(1, event(2, Happening::Acknowledged)).unwrap();
        let both = fs::read(&path).unwrap();
        for cut in whole.len()..both.len() {
            OpenOptions::new().write(true).open(&path).unwrap().set_len(cut as u64).unwrap();
            assert_eq!(incidents.find(1).unwrap(), before, "cut at {cut}");
            let after = incidents.add(1, event(2, Happening::Acknowledged)).unwrap();
            assert_eq!((after.events.len(), fs::read(&path).unwrap()), (2, both.clone()));
        }
        // A crash before the first line was whole: nobody was told of that incident.
        File::create_new(incidents.path(2)).unwrap();
        assert_eq!(incidents.list().unwrap().len(), 1);
        assert_eq!(incidents.declare(declared(3)).unwrap().number, 3);
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let state = tempfile::tempdir().unwrap();
        let incidents = Incidents::in_state(state.path());
        incidents.declare(declared(1)).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let incidents = &incidents;
                scope.spawn(move || {
                    for index in 0..10 {
                        let text = format!("{writer} {index}");
                        incidents.add(1, event(2, Happening::Noted { text })).unwrap();
                        incidents.declare(declared(2)).unwrap();
                    }
                });
            }
        });
        assert_eq!(incidents.find(1).unwrap().events.len(), 41);
        assert_eq!(incidents.list().unwrap().len(), 41);
    }

    #[test]
    fn damage_and_newer_formats_are_told_and_not_passed_over() {
        let state = tempfile::tempdir().unwrap();
        let incidents = Incidents::in_state(state.path());
        incidents.declare(declared(1)).unwrap();
        let whole = fs::read_to_string(incidents.path(1)).unwrap();
        for wrong in
            [whole.replace("\"format\":1", "\"format\":2"), format!("{whole}{whole}"), "{}\n".to_owned()]
        {
            let mut open = File::create(incidents.path(1)).unwrap();
            open.write_all(wrong.as_bytes()).unwrap();
            let error = incidents.list().unwrap_err();
            assert!(matches!(error, IncidentError::Malformed { .. }), "{wrong}: {error}");
        }
    }

    #[test]
    fn texts_have_limits() {
        for text in ["", " ", "two\nlines", "\u{1b}[31m", &"x".repeat(4_001)] {
            let error = IncidentEvent::new(1, "ann", Happening::Noted { text: text.to_owned() }).unwrap_err();
            assert!(matches!(error, IncidentError::Text { what: "note", .. }), "{error}");
        }
        assert!(IncidentEvent::new(1, "", Happening::Acknowledged).is_err());
    }
}
