//! Requests about files.

use std::fs;

use super::{
    Run,
    model::{To, now, sha256},
    requests::{GROUPS, WHO},
    *,
};

const FILES: [&str; 3] = ["f.txt", "g.txt", ""];

impl Run {
    pub(super) fn call_files(&mut self, function: &str, at: usize) {
        let (client, user, since) = (self.pointer(at), self.talker(at).user, now());
        let (who, group, file) = (self.word(&WHO), self.word(&GROUPS), self.word(&FILES));
        let to = if function.contains("group") { To::Group(group) } else { To::User(who) };
        let (To::User(name) | To::Group(name)) = to;
        let (name_c, file_c) = (c(name), c(file));
        let (to_name, filename) = (name_c.as_ptr(), file_c.as_ptr());
        let mut id = 0;
        let place = &raw mut id;
        match function {
            "obrolan_client_upload" => {
                let mut part = format!("isi {}", self.random.below(1000)).into_bytes();
                part.truncate(self.random.below(9) as usize);
                let offset = self.any(&[0, 0, 4, 8, part.len() as u64]);
                let came =
                    call!(obrolan_client_upload(client, filename, offset, part.as_ptr(), part.len(), place));
                let empty = if part.is_empty() { "" } else { "x" };
                let model = self.goes(at, true, &[file, empty]);
                let model = model.and_then(|()| Ok(self.world(at).upload(user, file, offset, &part)?));
                self.saw(function, came.map(|()| id), model);
            }
            "obrolan_client_send_upload" | "obrolan_client_send_group_upload" => {
                let came = match to {
                    To::User(_) => call!(obrolan_client_send_upload(client, to_name, filename, place)),
                    To::Group(_) => call!(obrolan_client_send_group_upload(client, to_name, filename, place)),
                };
                let model = self.goes(at, true, &[name, file]).and_then(|()| {
                    let sent = self.world(at).send_upload(user, to, file, since);
                    self.sent(at, to, sent)
                });
                self.saw(function, came.map(|()| id), model);
            }
            "obrolan_client_send_file" | "obrolan_client_send_group_file" => {
                let bytes = format!("berkas {}", self.random.below(1000)).into_bytes();
                let path = self.folder.path().join("sent.txt");
                let missing = self.one_in(8);
                fs::write(&path, &bytes).unwrap();
                let path = c(path.to_str().unwrap()).into_bytes();
                let mut path = String::from_utf8(path).unwrap();
                if missing {
                    path.push('x');
                }
                let path = c(&path);
                let came = match to {
                    To::User(_) => {
                        call!(obrolan_client_send_file(
                            client,
                            to_name,
                            path.as_ptr(),
                            None,
                            ptr::null_mut(),
                            place
                        ))
                    }
                    To::Group(_) => call!(obrolan_client_send_group_file(
                        client,
                        to_name,
                        path.as_ptr(),
                        None,
                        ptr::null_mut(),
                        place
                    )),
                };
                let model = match self.goes(at, true, &[]) {
                    _ if missing => Err(OBROLAN_ERR_IO.into()),
                    // Its content goes first.
                    Ok(()) => {
                        let name = "sent.txt";
                        self.world(at).upload(user, name, 0, &bytes).expect("it begins anew");
                        self.goes(at, true, &[name_of(to)]).and_then(|()| {
                            let sent = self.world(at).send_upload(user, to, name, since);
                            self.sent(at, to, sent)
                        })
                    }
                    wrong => wrong.map(|()| 0),
                };
                self.saw(function, came.map(|()| id), model);
            }
            _ => self.get(function, at),
        }
    }

    fn get(&mut self, function: &str, at: usize) {
        let (client, user) = (self.pointer(at), self.talker(at).user);
        let ids = self.world(at).messages.iter().filter_map(|message| message.file_id.clone());
        let mut ids: Vec<String> = ids.collect();
        ids.push("no-file".to_owned());
        let id = ids.swap_remove(self.random.below(ids.len() as u64) as usize);
        let id_c = c(&id);
        let content = self.goes(at, true, &[]).and_then(|()| Ok(self.world(at).file(user, &id)?.to_vec()));
        if function == "obrolan_client_get_file_part" {
            let (offset, length) = (self.random.below(6), self.random.below(6));
            let mut part = None;
            let model = content.and_then(|content| {
                let size = content.len() as u64;
                if offset > size {
                    return Err(OBROLAN_CODE_BAD_PARAMETERS.into());
                }
                let end = if length == 0 { size } else { size.min(offset + length) };
                part = Some(content[offset as usize..end as usize].to_vec());
                let mut fields = vec![("/size", size.into()), ("/offset", offset.into())];
                if end < size {
                    fields.push(("/next", end.into()));
                }
                Ok(fields)
            });
            self.fetch(at, function, model, part, |out| unsafe {
                obrolan_client_get_file_part(client, id_c.as_ptr(), offset, length, out)
            });
            return;
        }
        assert_eq!(
            function, "obrolan_client_get_file",
            "it is not called yet: tell the model what must come back"
        );
        let path = self.folder.path().join("got");
        let _ = fs::remove_file(&path);
        let path_c = c(path.to_str().unwrap());
        let wrong = self.one_in(4);
        let sum = match &content {
            Ok(content) if !wrong => sha256(content),
            _ => "0".repeat(64),
        };
        let sum = c(&sum);
        let came = call!(obrolan_client_get_file(
            client,
            id_c.as_ptr(),
            sum.as_ptr(),
            path_c.as_ptr(),
            None,
            ptr::null_mut()
        ));
        let model = if wrong { content.and(Err(OBROLAN_ERR_DAMAGED.into())) } else { content };
        self.saw(function, came.map(|()| fs::read(&path).unwrap()), model);
    }
}

fn name_of(to: To) -> &'static str {
    let (To::User(name) | To::Group(name)) = to;
    name
}
