//! Segments: preallocated files of 64 MiB, a 64-octet header and then records.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use rustix::fs::{FallocateFlags, fallocate};

use super::Record;
use super::record::now_ns;
use crate::config::{Audit, WhenFull};

/// Octets of a segment file.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Records of a segment; the header takes the place of one.
pub(super) const SEGMENT_RECORDS: u64 = SEGMENT_BYTES / Record::BYTES as u64 - 1;
const MAGIC: [u8; 8] = *b"keyaudit";
const VERSION: u32 = 1;
const RECORD_BYTES: u32 = 64;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: u32,
    record_bytes: u32,
    store: [u8; 16],
    first_sequence: u64,
    created_ns: u64,
    epoch: u64,
    lost_max: u64,
}

const _: () = assert!(size_of::<Header>() == Record::BYTES && RECORD_BYTES as usize == Record::BYTES);

/// An open segment.
pub struct Segment {
    pub(super) file: Arc<File>,
    pub(super) first_sequence: u64,
    /// Records before the end of what was written.
    pub(super) records: u64,
}

impl Segment {
    /// Lets an empty segment that another engine made say what a crash of this one can lose, if that is more.
    fn raise_lost_max(&self, lost_max: u64) -> io::Result<()> {
        let place = std::mem::offset_of!(Header, lost_max) as u64;
        let mut octets = [0; size_of::<u64>()];
        self.file.read_exact_at(&mut octets, place)?;
        if u64::from_ne_bytes(octets) < lost_max {
            self.file.write_all_at(&lost_max.to_ne_bytes(), place)?;
            self.file.sync_data()?;
        }
        Ok(())
    }
}

/// The directory of segments of one store.
pub struct Archive {
    directory: PathBuf,
    keep: usize,
    when_full: WhenFull,
    /// Records that a crash of this engine can lose.
    lost_max: u64,
}

/// What a segment says of the store at the time of its making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The store's identity.
    pub store: [u8; 16],
    /// Its epoch.
    pub epoch: u64,
}

/// The newest segment and what it tells a starting engine.
pub struct Newest {
    /// Open to be appended to.
    pub segment: Segment,
    /// The segment after it, made in advance and still empty.
    pub next: Option<Segment>,
    /// The store that it belongs to, and the newest epoch of it that the log knows.
    pub witness: Witness,
    /// Whether the last engine stopped in good order.
    pub clean: bool,
    /// If not: records that it lost at most.
    pub lost_max: u64,
}

impl Archive {
    /// The archive in `directory`, which is created if it is not there. A crash of this engine can lose `lost_max`
    /// records, which its segments say.
    pub fn open(directory: &Path, config: Audit, lost_max: u64) -> io::Result<Self> {
        fs::create_dir_all(directory).map_err(|cause| name_file(directory, &cause))?;
        // Two at least: one is being written while the next is made.
        let keep = (config.keep as usize).max(2);
        Ok(Self { directory: directory.to_owned(), keep, when_full: config.when_full, lost_max })
    }

    /// Opens the newest segment that has records, if there is one. Every segment starts with the newest epoch of its
    /// time, so that older ones need not be read; but one that was made in advance says nothing of what its
    /// predecessor has recorded since.
    pub fn newest(&self) -> io::Result<Option<Newest>> {
        let segments = self.segments()?;
        let Some((&last, before)) = segments.split_last() else { return Ok(None) };
        let newest = self.replay(last)?;
        match before.last() {
            Some(&first) if newest.segment.records == 0 => {
                let mut current = self.replay(first)?;
                current.witness.epoch = current.witness.epoch.max(newest.witness.epoch);
                current.lost_max = current.lost_max.max(newest.lost_max);
                newest.segment.raise_lost_max(self.lost_max)?;
                current.next = Some(newest.segment);
                Ok(Some(current))
            }
            _ => Ok(Some(newest)),
        }
    }

    /// First sequence numbers of the segments, oldest first.
    pub fn segments(&self) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".audit")).map(str::parse::<u64>);
            found.extend(number.and_then(Result::ok));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Creates the segment that starts at `first_sequence`, deleting old ones if the policy says so.
    pub fn create(&self, first_sequence: u64, witness: Witness) -> io::Result<Segment> {
        loop {
            let segments = self.segments()?;
            let outcome = if segments.len() >= self.keep {
                Err(io::Error::new(
                    io::ErrorKind::QuotaExceeded,
                    format!("{} audit segments are kept (audit.keep)", segments.len()),
                ))
            } else {
                self.allocate(first_sequence, witness)
            };
            match (outcome, self.when_full, segments.as_slice()) {
                // Never the newest: it is being written.
                (Err(cause), WhenFull::Prune, [oldest, _, ..]) if is_full(&cause) => {
                    let path = self.path(*oldest);
                    tracing::warn!(segment = %path.display(), "audit log full: pruning its oldest segment");
                    fs::remove_file(&path).map_err(|cause| name_file(&path, &cause))?;
                }
                (outcome, ..) => return outcome,
            }
        }
    }

    fn allocate(&self, first_sequence: u64, witness: Witness) -> io::Result<Segment> {
        let path = self.path(first_sequence);
        let temporary = path.with_extension("new");
        let result = write_new(&temporary, first_sequence, witness, self.lost_max).and_then(|file| {
            fs::rename(&temporary, &path)?;
            File::open(&self.directory)?.sync_all()?;
            Ok(Segment { file: Arc::new(file), first_sequence, records: 0 })
        });
        result.map_err(|cause| {
            // The unfinished file is ours; a failure to remove it is covered by `create` truncating it next time.
            let _ = fs::remove_file(&temporary);
            name_file(&path, &cause)
        })
    }

    /// Opens a segment, finds its end, and what it witnessed.
    fn replay(&self, first_sequence: u64) -> io::Result<Newest> {
        self.read(first_sequence).map_err(|cause| name_file(&self.path(first_sequence), &cause))
    }

    fn read(&self, first_sequence: u64) -> io::Result<Newest> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(first_sequence))?;
        let mut header = Header::zeroed();
        file.read_exact_at(bytemuck::bytes_of_mut(&mut header), 0)?;
        validate(&header, first_sequence)?;
        let mut found = Newest {
            segment: Segment { file: Arc::new(file), first_sequence, records: 0 },
            next: None,
            witness: Witness { store: header.store, epoch: header.epoch },
            clean: true,
            lost_max: header.lost_max,
        };
        let mut chunk = vec![Record::default(); 4096];
        let mut index = 0;
        while index < SEGMENT_RECORDS {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut chunk);
            let got = read_up_to(&found.segment.file, bytes, record_offset(index))? / Record::BYTES;
            if got == 0 {
                break;
            }
            for (position, record) in (index..).zip(chunk.iter().take(got)) {
                found.follow(position, record);
            }
            index += got as u64;
        }
        Ok(found)
    }

    fn path(&self, first_sequence: u64) -> PathBuf {
        self.directory.join(format!("{first_sequence:020}.audit"))
    }
}

impl Newest {
    fn follow(&mut self, position: u64, record: &Record) {
        if record.is_empty() {
            return;
        }
        self.segment.records = position + 1;
        self.clean = record.is_stop();
        if let Some(epoch) = record.witnessed_epoch() {
            self.witness.epoch = self.witness.epoch.max(epoch);
        }
        if let Some(lost_max) = record.lost_max() {
            self.lost_max = self.lost_max.max(lost_max);
        }
    }
}

fn write_new(path: &Path, first_sequence: u64, witness: Witness, lost_max: u64) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // Space is taken now, so that a full disk is found before a record depends on it.
    fallocate(&file, FallocateFlags::empty(), 0, SEGMENT_BYTES)?;
    let header = Header {
        magic: MAGIC,
        version: VERSION,
        record_bytes: RECORD_BYTES,
        store: witness.store,
        first_sequence,
        created_ns: now_ns(),
        epoch: witness.epoch,
        lost_max,
    };
    file.write_all_at(bytemuck::bytes_of(&header), 0)?;
    file.sync_all()?;
    Ok(file)
}

fn validate(header: &Header, first_sequence: u64) -> io::Result<()> {
    let wrong = if header.magic != MAGIC {
        "is not an audit segment; move it away"
    } else if header.version != VERSION || header.record_bytes != RECORD_BYTES {
        "is of an unknown version; use the Keylane that wrote it"
    } else if header.first_sequence != first_sequence {
        "was renamed: its header names another sequence number"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, wrong))
}

/// Where a record stands in its file.
pub(super) fn record_offset(index: u64) -> u64 {
    (index + 1) * Record::BYTES as u64
}

/// Whether an error means that there is no room.
pub(super) fn is_full(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn read_up_to(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let wanted = buffer.len();
    while !buffer.is_empty() {
        match file.read_at(buffer, offset) {
            Ok(0) => break,
            Ok(got) => {
                offset += got as u64;
                buffer = buffer.split_at_mut(got).1;
            }
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(wanted - buffer.len())
}

fn name_file(path: &Path, cause: &io::Error) -> io::Error {
    io::Error::new(cause.kind(), format!("{}: {cause}", path.display()))
}
