//! Calls with a recovery or a snapshot.

use std::ptr;

use obrolan::{RecoveryError, Seq};
use obrolan_c::{obrolan_result::*, *};

use super::{
    Bodies, Disk, Files, Kind, Object, Recovering, Run, Twin, failure, is_null, or_null, out, plain,
};
use crate::engine::{Failure, c_text, checked, with_config};

fn used_up() -> Failure {
    failure(OBROLAN_ERR_MISUSE, "the recovery was started already; free it")
}

fn damaged(error: RecoveryError) -> Failure {
    failure(OBROLAN_ERR_DAMAGED, error)
}

impl Run {
    pub(super) fn call_recovery(&mut self, function: &str) {
        let now = self.now;
        if function == "obrolan_recovery_new" {
            return self.new_recovery();
        }
        if function.starts_with("obrolan_snapshot") {
            return self.call_snapshot(function);
        }
        let (handle, at) = self.handle::<obrolan_recovery>(Kind::Recovery);
        match function {
            "obrolan_recovery_free" => {
                if self.one_in(3) {
                    obrolan_recovery_free(handle);
                    if let Some(at) = at {
                        self.handles[at].1 = Object::Freed;
                    }
                }
                self.saw(function, Ok(()), Ok(()));
            }
            "obrolan_recovery_last_error" => {
                let model = match at.map(|at| &self.handles[at].1) {
                    Some(Object::Recovery(recovering)) => recovering.error.clone(),
                    _ => plain(OBROLAN_ERR_HANDLE).text,
                };
                self.saw(function, Ok(c_text(obrolan_recovery_last_error(handle))), Ok(model));
            }
            "obrolan_recovery_snapshot" => {
                let null = self.null(&["bytes"]);
                let (bytes, disk) = self.snapshot_for(at);
                let place = or_null(null, "bytes", bytes.as_ptr().cast_mut());
                // SAFETY: the pointers are good, or NULL.
                let came = checked(unsafe { obrolan_recovery_snapshot(handle, place, bytes.len()) });
                let model = self.recovery(at, null, |recovering| {
                    let recovery = recovering.recovery.as_mut().ok_or_else(used_up)?;
                    recovery.snapshot(&bytes).map_err(damaged)?;
                    recovering.fed = disk.records.len();
                    recovering.disk = disk;
                    Ok(())
                });
                self.saw(function, came, model);
            }
            "obrolan_recovery_record" => self.record(handle, at),
            "obrolan_recovery_start" => {
                let null = self.null(&["out"]);
                // SAFETY: the pointers are good, or NULL.
                let came = out(ptr::null_mut(), null.is_some(), |out| unsafe {
                    obrolan_recovery_start(handle, now.0, out)
                });
                let model = match null {
                    Some(_) => self.recovery(at, null, |_| unreachable!("out is NULL")),
                    None => self.start(at),
                };
                let model = model.map(|(engine, disk)| Object::Engine(Twin::new(engine, disk)));
                self.made(function, came, model);
            }
            _ => panic!("{function} is not called yet: tell the model what must come back"),
        }
    }

    fn call_snapshot(&mut self, function: &str) {
        let (handle, at) = self.handle::<obrolan_snapshot>(Kind::Snapshot);
        match function {
            "obrolan_snapshot_free" => {
                obrolan_snapshot_free(handle);
                if let Some(at) = at {
                    self.handles[at].1 = Object::Freed;
                }
                self.saw(function, Ok(()), Ok(()));
            }
            "obrolan_snapshot_bytes" => {
                let null = self.null(&["seq", "bytes", "len"]);
                let (mut bytes, mut len) = (ptr::null(), 99);
                let (bytes_place, len_place) =
                    (or_null(null, "bytes", &raw mut bytes), or_null(null, "len", &raw mut len));
                // SAFETY: the pointers are good, or NULL.
                let came = out(99, null == Some("seq"), |out| unsafe {
                    obrolan_snapshot_bytes(handle, out, bytes_place, len_place)
                });
                let model = match at.map(|at| &self.handles[at].1) {
                    Some(Object::Snapshot(taken)) => {
                        let (snapshot, _) = &**taken;
                        let read = (snapshot.seq.0, snapshot.bytes.len());
                        null.map_or(Ok(read), |name| Err(is_null(name)))
                    }
                    _ => Err(plain(OBROLAN_ERR_HANDLE)),
                };
                assert_eq!(came.is_err(), bytes.is_null());
                self.saw(function, came.map(|seq| (seq, len)), model);
            }
            _ => panic!("{function} is not called yet: tell the model what must come back"),
        }
    }

    fn new_recovery(&mut self) {
        // From what some engine has stored, or from nothing.
        let (_, at) = self.handle::<obrolan_engine>(Kind::Engine);
        let disk = match self.twin(at) {
            Some(twin) => twin.disk.clone(),
            None => Disk {
                config: self.config(),
                records: Vec::new(),
                bodies: Bodies::default(),
                files: Files::default(),
            },
        };
        let null = self.null(&["config", "seed", "out"]);
        self.recovery_of(disk, null);
    }

    fn recovery_of(&mut self, mut disk: Disk, null: Option<&'static str>) -> Option<*mut obrolan_recovery> {
        if self.one_in(12) {
            disk.config.limits.users = 0;
        }
        let seed = [self.random.next() as u8; 32];
        let seed_or_null = or_null(null, "seed", seed.as_ptr().cast_mut());
        let came = with_config(&disk.config, |config| {
            let config = or_null(null, "config", config.cast_mut());
            // SAFETY: the pointers are good, or NULL.
            out(ptr::null_mut(), null == Some("out"), |out| unsafe {
                obrolan_recovery_new(config, seed_or_null, out)
            })
        });
        let recovery = match null {
            Some(name) => Err(is_null(name)),
            None => obrolan::Engine::recover(disk.config.clone(), seed)
                .map_err(|error| failure(OBROLAN_ERR_CONFIG, error)),
        };
        let handle = came.as_ref().ok().copied();
        let recovering = recovery.map(|recovery| {
            let recovery = Some(recovery);
            Object::Recovery(Box::new(Recovering { recovery, error: String::new(), disk, fed: 0 }))
        });
        self.made("obrolan_recovery_new", came, recovering);
        handle
    }

    /// A recovery that was given all records of a disk.
    pub(super) fn fed_recovery(&mut self, disk: Disk) -> (*mut obrolan_recovery, Option<usize>) {
        let Some(handle) = self.recovery_of(disk, None) else { return (ptr::null_mut(), None) };
        let at = Some(self.handles.len() - 1);
        while self.recovering(at).is_some_and(|held| held.fed < held.disk.records.len()) {
            self.record(handle, at);
        }
        (handle, at)
    }

    fn recovering(&self, at: Option<usize>) -> Option<&Recovering> {
        match at.map(|at| &self.handles[at].1) {
            Some(Object::Recovery(recovering)) => Some(recovering),
            _ => None,
        }
    }

    fn record(&mut self, handle: *mut obrolan_recovery, at: Option<usize>) {
        let null = self.null(&["record"]);
        let next = self.recovering(at).and_then(|held| {
            let record = held.disk.records.get(held.fed)?;
            Some((held.fed as u64 + 1, record.clone()))
        });
        let (mut seq, mut record) = next.unwrap_or((1, b"no record".to_vec()));
        if self.one_in(20) {
            seq += 1;
        }
        if self.one_in(20) {
            record.truncate(1);
        }
        let place = or_null(null, "record", record.as_ptr().cast_mut());
        // SAFETY: the pointers are good, or NULL.
        let came = checked(unsafe { obrolan_recovery_record(handle, seq, place, record.len()) });
        let model = self.recovery(at, null, |recovering| {
            let recovery = recovering.recovery.as_mut().ok_or_else(used_up)?;
            recovery.record(Seq(seq), &record).map_err(damaged)?;
            recovering.fed += 1;
            Ok(())
        });
        self.saw("obrolan_recovery_record", came, model);
    }

    /// Bytes for a recovery, and the disk that goes with them.
    fn snapshot_for(&mut self, at: Option<usize>) -> (Vec<u8>, Disk) {
        let own = self.recovering(at).map(|held| held.disk.config.clone());
        let snapshots = self.handles.iter().filter_map(|(_, object)| match object {
            Object::Snapshot(taken) if Some(&taken.1.config) == own.as_ref() => Some(taken),
            _ => None,
        });
        // A snapshot is of use once the host was given all records in it.
        let mut snapshots = snapshots.filter(|taken| taken.0.seq.0 == taken.1.records.len() as u64);
        let fitting = snapshots.next_back().map(|taken| (taken.0.bytes.clone(), taken.1.clone()));
        match fitting {
            Some(fitting) if !self.one_in(10) => fitting,
            _ => {
                let bytes = self.any(&[&b"\x01"[..], b"\x02old", b"no snapshot"]).to_vec();
                let config = own.unwrap_or_default();
                let (records, bodies, files) = (Vec::new(), Bodies::default(), Files::default());
                (bytes, Disk { config, records, bodies, files })
            }
        }
    }

    /// Starts what a recovery has made. It is used up, whatever comes of it.
    pub(super) fn start(&mut self, at: Option<usize>) -> Result<(obrolan::Engine, Disk), Failure> {
        let now = self.now;
        self.recovery(at, None, |recovering| {
            let recovery = recovering.recovery.take().ok_or_else(used_up)?;
            let mut disk = recovering.disk.clone();
            disk.records.truncate(recovering.fed);
            Ok((recovery.start(now).map_err(damaged)?, disk))
        })
    }
}
