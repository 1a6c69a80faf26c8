//! Calls with an engine.

use std::{ffi::CString, mem, ptr, slice};

use obrolan::{Answer, Closed, ConnId, Output, Peer, Received, Seq, Ticket, Time};
use obrolan_c::{obrolan_result::*, *};

use super::{Disk, Kind, Object, Run, Twin, digest, failure, is_null, misuse, or_null, out, plain};
use crate::{
    engine::{Failure, bytes, c_text, checked, of_c, with_answer, with_config},
    engine_door::{Bodies, Files, work},
};

fn conn_id(number: u64) -> Result<ConnId, Failure> {
    ConnId::from_number(number).ok_or_else(|| misuse(obrolan::ApiError::UnknownConnection))
}

impl Run {
    pub(super) fn call_engine(&mut self, function: &str) {
        let now = self.now;
        if function == "obrolan_engine_new" {
            return self.new_engine();
        }
        let (handle, at) = self.handle::<obrolan_engine>(Kind::Engine);
        match function {
            "obrolan_engine_free" => {
                if self.one_in(6) {
                    obrolan_engine_free(handle);
                    if let Some(at) = at {
                        self.handles[at].1 = Object::Freed;
                    }
                } else if at.is_some() && self.one_in(20) {
                    // What a bug would do.
                    let came = checked(panic_for_test(handle));
                    let model = self.engine(at, None, |_| Ok(()));
                    if model == Ok(()) {
                        assert_eq!(came.unwrap_err().code, OBROLAN_ERR_PANIC);
                        self.handles[at.unwrap()].1 = Object::Panicked;
                    } else {
                        assert_eq!(came, model);
                    }
                }
                self.saw(function, Ok(()), Ok(()));
            }
            "obrolan_engine_last_error" => {
                let model = match at.map(|at| &self.handles[at].1) {
                    Some(Object::Engine(twin)) => twin.error.clone(),
                    Some(Object::Panicked) => plain(OBROLAN_ERR_PANIC).text,
                    _ => plain(OBROLAN_ERR_HANDLE).text,
                };
                self.saw(function, Ok(c_text(obrolan_engine_last_error(handle))), Ok(model));
            }
            "obrolan_engine_connect" => self.connect(handle, at),
            "obrolan_engine_receive" => self.receive(handle, at),
            "obrolan_engine_next_output" => {
                for _ in 0..self.random.below(12) {
                    self.next_output(handle, at);
                }
            }
            "obrolan_engine_outgoing" => self.outgoing(handle, at),
            "obrolan_engine_answer" => self.answer(handle, at),
            "obrolan_engine_snapshot" => self.snapshot(handle, at),
            "obrolan_engine_restore" => self.restore(handle, at),
            "obrolan_engine_peer_closed" => {
                let (conn, how) = (self.conn(at), self.any(&[0, 1, 1, 2]));
                let came = checked(obrolan_engine_peer_closed(handle, now.0, conn, how));
                let model = self.engine(at, None, |twin| {
                    let how = match how {
                        0 => Closed::Eof,
                        1 => Closed::Gone,
                        _ => return Err(failure(OBROLAN_ERR_ARGUMENT, "2 is no obrolan_closed")),
                    };
                    let conn = conn_id(conn)?;
                    twin.engine.peer_closed(now, conn, how).map_err(misuse)?;
                    twin.conns.retain(|open| how == Closed::Eof || *open != conn);
                    Ok(())
                });
                self.saw(function, came, model);
            }
            "obrolan_engine_sent" => {
                let conn = self.conn(at);
                let most = self.twin(at).map_or(9, |twin| {
                    let conn = ConnId::from_number(conn).into_iter();
                    conn.flat_map(|conn| twin.engine.outgoing(conn)).map(<[u8]>::len).sum()
                });
                let count = if self.one_in(3) { self.random.below(most as u64 + 2) as usize } else { most };
                let came = checked(obrolan_engine_sent(handle, now.0, conn, count));
                let model = self
                    .engine(at, None, |twin| twin.engine.sent(now, conn_id(conn)?, count).map_err(misuse));
                self.saw(function, came, model);
            }
            "obrolan_engine_persisted" | "obrolan_engine_persist_failed" => {
                let last = self.twin(at).map_or(9, |twin| twin.disk.records.len()) as u64;
                let back = self.any(&[0, 0, 0, 1, 2]);
                let seq = if self.one_in(20) { u64::MAX } else { last.saturating_sub(back) };
                let failed = function == "obrolan_engine_persist_failed";
                let came = checked(if failed {
                    obrolan_engine_persist_failed(handle, now.0, seq)
                } else {
                    obrolan_engine_persisted(handle, now.0, seq)
                });
                let model = self.engine(at, None, |twin| {
                    if failed {
                        twin.engine.persist_failed(now, Seq(seq)).map_err(misuse)?;
                        twin.disk.records.truncate(seq as usize - 1);
                        Ok(())
                    } else {
                        twin.engine.persisted(now, Seq(seq)).map_err(misuse)
                    }
                });
                let lost = failed && model.is_ok();
                self.saw(function, came, model);
                if lost && self.one_in(2) {
                    self.restore(handle, at);
                }
            }
            "obrolan_engine_handle_timeout" => {
                let came = checked(obrolan_engine_handle_timeout(handle, now.0));
                let model = self.engine(at, None, |twin| {
                    twin.engine.handle_timeout(now);
                    Ok(())
                });
                self.saw(function, came, model);
            }
            "obrolan_engine_shutdown" => {
                // Nothing much happens after it.
                if self.one_in(8) {
                    let came = checked(obrolan_engine_shutdown(handle, now.0));
                    let model = self.engine(at, None, |twin| {
                        twin.engine.shutdown(now);
                        Ok(())
                    });
                    self.saw(function, came, model);
                }
            }
            "obrolan_engine_wants_read" => {
                let (conn, null) = (self.conn(at), self.null(&["out"]));
                // SAFETY: the pointers are good, or NULL.
                let call = |out| unsafe { obrolan_engine_wants_read(handle, conn, out) };
                let came = out(false, null.is_some(), call);
                let model = self.engine(at, null, |twin| {
                    Ok(ConnId::from_number(conn).is_some_and(|conn| twin.engine.wants_read(conn)))
                });
                self.saw(function, came, model);
            }
            "obrolan_engine_next_timeout" => {
                let null = self.null(&["out"]);
                // SAFETY: the pointers are good, or NULL.
                let came = out(7, null.is_some(), |out| unsafe { obrolan_engine_next_timeout(handle, out) });
                let model = self.engine(at, null, |twin| {
                    Ok(twin.engine.poll_timeout().map_or(OBROLAN_NEVER, |Time(time)| time))
                });
                self.saw(function, came, model);
            }
            "obrolan_engine_connections" => {
                let null = self.null(&["out"]);
                // SAFETY: the pointers are good, or NULL.
                let came = out(99, null.is_some(), |out| unsafe { obrolan_engine_connections(handle, out) });
                let model = self.engine(at, null, |twin| Ok(twin.engine.connections()));
                self.saw(function, came, model);
            }
            "obrolan_engine_accounts" => {
                let null = self.null(&["out"]);
                // SAFETY: the pointers are good, or NULL.
                let came = out(99, null.is_some(), |out| unsafe { obrolan_engine_accounts(handle, out) });
                let model = self.engine(at, null, |twin| Ok(twin.engine.accounts()));
                self.saw(function, came, model);
            }
            "obrolan_engine_file_digests" => {
                let (capacity, null) = (self.any(&[1, 2, 100]), self.null(&["digests", "count"]));
                let mut digests = vec![[0; 32]; capacity];
                let places = or_null(null, "digests", digests.as_mut_ptr().cast());
                // SAFETY: the pointers are good, or NULL.
                let came = out(99, null == Some("count"), |out| unsafe {
                    obrolan_engine_file_digests(handle, places, capacity, out)
                });
                let model = self.engine(at, null, |twin| {
                    let mut all = vec![[0; 32]; capacity];
                    all.iter_mut()
                        .zip(twin.engine.file_digests())
                        .for_each(|(place, digest)| *place = digest);
                    Ok((twin.engine.file_digests().count(), all))
                });
                self.saw(function, came.map(|count| (count, digests)), model);
            }
            "obrolan_engine_digest" => {
                if self.one_in(12) {
                    // SAFETY: the pointers are good, or NULL.
                    let came = checked(unsafe { obrolan_engine_digest(handle, ptr::null_mut()) });
                    let model = self.engine(at, Some("digest"), |_| Ok(()));
                    self.saw(function, came, model);
                } else {
                    let model = self.engine(at, None, |twin| Ok(twin.engine.digest()));
                    self.saw(function, digest(handle), model);
                }
            }
            _ => panic!("{function} is not called yet: tell the model what must come back"),
        }
    }

    fn new_engine(&mut self) {
        let null = self.null(&["config", "seed", "out"]);
        let mut config = self.config();
        if self.one_in(12) {
            config.realm = self.any(&["", "no name", "a@b"]).to_owned();
        }
        let (seed, now) = ([self.random.next() as u8; 32], self.now);
        let seed_or_null = or_null(null, "seed", seed.as_ptr().cast_mut());
        let came = with_config(&config, |config| {
            let config = or_null(null, "config", config.cast_mut());
            // SAFETY: the pointers are good, or NULL.
            out(ptr::null_mut(), null == Some("out"), |out| unsafe {
                obrolan_engine_new(config, seed_or_null, now.0, out)
            })
        });
        let engine = match null {
            Some(name) => Err(is_null(name)),
            None => obrolan::Engine::new(config.clone(), seed, now)
                .map_err(|error| failure(OBROLAN_ERR_CONFIG, error)),
        };
        let disk = Disk { config, records: Vec::new(), bodies: Bodies::default(), files: Files::default() };
        self.made("obrolan_engine_new", came, engine.map(|engine| Object::Engine(Twin::new(engine, disk))));
    }

    fn connect(&mut self, handle: *mut obrolan_engine, at: Option<usize>) {
        let (now, null) = (self.now, self.null(&["out"]));
        let ip = self.any(&["", "", "192.0.2.1", "::1", "192.0.2.1:80"]);
        let text = CString::new(ip).unwrap();
        let place = if ip.is_empty() { ptr::null() } else { text.as_ptr() };
        // SAFETY: the pointers are good, or NULL.
        let came = out(0, null.is_some(), |out| unsafe { obrolan_engine_connect(handle, now.0, place, out) });
        let model = self.engine(at, null, |twin| {
            let peer = match (ip, ip.parse()) {
                ("", _) => Peer::Local,
                (_, Ok(ip)) => Peer::Address(ip),
                (_, Err(_)) => {
                    let why = "is no IP address; give one without a port, or NULL for a local peer";
                    return Err(failure(OBROLAN_ERR_ARGUMENT, format!("{ip:?} {why}")));
                }
            };
            let conn = twin.engine.connect(now, peer).map_err(|error| failure(OBROLAN_ERR_REFUSED, error))?;
            twin.conns.push(conn);
            Ok(conn.get())
        });
        self.saw("obrolan_engine_connect", came, model);
    }

    fn receive(&mut self, handle: *mut obrolan_engine, at: Option<usize>) {
        let (now, conn, line) = (self.now, self.conn(at), self.line());
        let null = if line.is_empty() { None } else { self.null(&["bytes", "consumed", "wants_read"]) };
        let bytes = or_null(null, "bytes", line.as_ptr().cast_mut());
        let mut consumed = usize::MAX;
        let place = or_null(null, "consumed", &raw mut consumed);
        // SAFETY: the pointers are good, or NULL.
        let came = out(false, null == Some("wants_read"), |out| unsafe {
            obrolan_engine_receive(handle, now.0, conn, bytes, line.len(), place, out)
        });
        if came.is_err() {
            assert_eq!(consumed, usize::MAX, "a call that failed has written to an out-parameter");
        }
        let model =
            self.engine(at, null, |twin| twin.engine.receive(now, conn_id(conn)?, &line).map_err(misuse));
        self.saw("obrolan_engine_receive", came.map(|wants_read| Received { consumed, wants_read }), model);
    }

    fn next_output(&mut self, handle: *mut obrolan_engine, at: Option<usize>) {
        let null = self.null(&["out"]);
        // SAFETY: the pointers are good, or NULL.
        let came = out(ptr::null(), null.is_some(), |out| unsafe { obrolan_engine_next_output(handle, out) });
        // SAFETY: it is lent, and there is no further call before it was looked at.
        let came = came.map(|output| unsafe { output.as_ref() });
        if let Ok(Some(output)) = came {
            self.seen.insert((format!("{:?}", output.r#type), true));
        }
        let came = came.map(|output| output.map(of_c));
        let model = self.engine(at, null, |twin| {
            let output = twin.engine.poll_output();
            if let (Ok(Some(Output::Ask { ask: came, .. })), Some(Output::Ask { ask, .. })) = (&came, &output)
            {
                assert_eq!(came, ask);
            }
            let told = format!("{output:?}");
            match output {
                Some(Output::Persist { seq, record, message }) => {
                    assert_eq!(seq.0, twin.disk.records.len() as u64 + 1);
                    twin.disk.records.push(record.to_vec());
                    if let Some(message) = message {
                        let body = record[message.body_at..].to_vec();
                        twin.disk.bodies.insert(message.id, (seq, message.prev, body));
                    }
                }
                Some(Output::Close { conn, .. }) => twin.conns.retain(|open| *open != conn),
                Some(Output::Ask { ticket, ask }) => twin.asked.push((ticket, ask)),
                _ => {}
            }
            Ok(told)
        });
        self.saw("obrolan_engine_next_output", came.map(|output| format!("{output:?}")), model);
    }

    fn outgoing(&mut self, handle: *mut obrolan_engine, at: Option<usize>) {
        let (conn, null) = (self.conn(at), self.null(&["slices", "count"]));
        let capacity = self.random.below(4) as usize + 1;
        let mut slices = vec![obrolan_slice { data: ptr::null(), len: 0 }; capacity];
        let places = or_null(null, "slices", slices.as_mut_ptr());
        // SAFETY: the pointers are good, or NULL.
        let came = out(99, null == Some("count"), |out| unsafe {
            obrolan_engine_outgoing(handle, conn, places, capacity, out)
        });
        let came = came.map(|count| slices[..count].iter().map(|slice| bytes(*slice).to_vec()).collect());
        let model = self.engine(at, null, |twin| {
            let conn = ConnId::from_number(conn).into_iter();
            let outgoing = conn.flat_map(|conn| twin.engine.outgoing(conn));
            Ok(outgoing.take(capacity).map(<[u8]>::to_vec).collect::<Vec<_>>())
        });
        self.saw("obrolan_engine_outgoing", came, model);
    }

    fn answer(&mut self, handle: *mut obrolan_engine, at: Option<usize>) {
        let null = self.null(&["answer"]);
        let (right, good, now) = (!self.one_in(6), !self.one_in(6), self.now);
        let bogus = self
            .any(&[Answer::Failed, Answer::Messages(vec![]), Answer::FileBytes(vec![1])].each_ref())
            .clone();
        let (ticket, answer) = match at.map(|at| &mut self.handles[at].1) {
            Some(Object::Engine(twin)) if !twin.asked.is_empty() && right && null.is_none() => {
                let (ticket, ask) = twin.asked[0].clone();
                let worked = || work(ask, &twin.disk.bodies, &mut twin.disk.files);
                (ticket, if good { worked() } else { bogus })
            }
            _ => (Ticket(99_999), bogus),
        };
        let came = with_answer(&answer, |answer| {
            let answer = or_null(null, "answer", answer.cast_mut());
            // SAFETY: the pointers are good, or NULL.
            checked(unsafe { obrolan_engine_answer(handle, now.0, ticket.0, answer) })
        });
        let model = self.engine(at, null, |twin| {
            twin.engine.answer(now, ticket, answer).map_err(misuse)?;
            twin.asked.retain(|(asked, _)| *asked != ticket);
            Ok(())
        });
        self.saw("obrolan_engine_answer", came, model);
    }

    fn snapshot(&mut self, handle: *mut obrolan_engine, at: Option<usize>) {
        let null = self.null(&["out"]);
        // SAFETY: the pointers are good, or NULL.
        let came =
            out(ptr::null_mut(), null.is_some(), |out| unsafe { obrolan_engine_snapshot(handle, out) });
        let model = self.engine(at, null, |twin| {
            Ok(Object::Snapshot(Box::new((twin.engine.snapshot().map_err(misuse)?, twin.disk.clone()))))
        });
        if let (Ok(handle), Ok(Object::Snapshot(taken))) = (&came, &model) {
            let (snapshot, _) = &**taken;
            let (mut seq, mut data, mut len) = (0, ptr::null(), 0);
            // SAFETY: the pointers are good.
            let read = unsafe { obrolan_snapshot_bytes(*handle, &raw mut seq, &raw mut data, &raw mut len) };
            assert_eq!(checked(read), Ok(()));
            // SAFETY: so much is lent until the snapshot is freed.
            assert!(seq == snapshot.seq.0 && unsafe { slice::from_raw_parts(data, len) } == snapshot.bytes);
        }
        self.made("obrolan_engine_snapshot", came, model);
    }

    fn restore(&mut self, handle: *mut obrolan_engine, at: Option<usize>) {
        // One that was fed from this engine's disk, or any.
        let own = self.twin(at).map(|twin| twin.disk.clone()).filter(|_| !self.one_in(6));
        let (recovery, from) = match own {
            Some(disk) => self.fed_recovery(disk),
            None => self.handle::<obrolan_recovery>(Kind::Recovery),
        };
        let now = self.now;
        let came = checked(obrolan_engine_restore(handle, now.0, recovery));
        // The engine comes first: if its handle is none, the recovery stays as it is.
        let good = self.engine(at, None, |_| Ok(()));
        let started = match good {
            Ok(()) => Some(self.start(from)),
            Err(_) => None,
        };
        let model = match started {
            None => good,
            Some(Err(failure)) => self.engine(at, None, |_| Err(failure)),
            Some(Ok((engine, disk))) => self.engine(at, None, |twin| {
                twin.engine.restore(now, engine).map_err(misuse)?;
                // Uploads go on.
                let mut files = mem::take(&mut twin.disk.files);
                files.contents.extend(disk.files.contents);
                twin.disk = Disk { files, ..disk };
                Ok(())
            }),
        };
        self.saw("obrolan_engine_restore", came, model);
    }
}
