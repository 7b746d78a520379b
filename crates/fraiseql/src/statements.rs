//! Cuts a SQL file into statements, for progress and for the place of an error.
//!
//! Knows quotes, dollar quotes and comments (section 4.1 of PostgreSQL's manual); nothing else.

/// Returns the statements with the byte offset of each; what is only comment or space is left out.
pub(crate) fn statements(sql: &str) -> Vec<(usize, &str)> {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut content = None;
    let mut body = Body::default();
    while at < bytes.len() {
        let next = match bytes[at] {
            b'-' if bytes[at..].starts_with(b"--") => end_of(bytes, at, b"\n"),
            b'/' if bytes[at..].starts_with(b"/*") => comment_end(bytes, at),
            b'\'' => {
                content = content.or(Some(at));
                let escapes = at > 0 && matches!(bytes[at - 1], b'e' | b'E');
                string_end(bytes, at, b'\'', escapes)
            }
            b'"' => {
                content = content.or(Some(at));
                string_end(bytes, at, b'"', false)
            }
            b'$' => {
                content = content.or(Some(at));
                dollar_end(bytes, at)
            }
            b';' if body.depth == 0 => {
                body = Body::default();
                if let Some(first) = content.take() {
                    found.push((first, sql[first..=at].trim_end()));
                }
                start = at + 1;
                start
            }
            byte if is_word(byte) => {
                content = content.or(Some(at));
                let end = at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
                body.word(&sql[at..end]);
                // The quote behind E'' belongs to the word's string.
                end
            }
            byte => {
                if !byte.is_ascii_whitespace() {
                    content = content.or(Some(at));
                }
                at + 1
            }
        };
        at = next;
    }
    if let Some(first) = content {
        found.push((first.max(start), sql[first..].trim_end()));
    }
    found
}

/// The body of a function in the SQL standard's form: `BEGIN ATOMIC ... END`, since PostgreSQL 14.
#[derive(Default)]
struct Body {
    depth: usize,
    begins: bool,
}

impl Body {
    fn word(&mut self, word: &str) {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        if self.depth == 0 {
            self.depth = usize::from(self.begins && is("atomic"));
            self.begins = is("begin");
        } else if is("case") {
            self.depth += 1;
        } else if is("end") {
            self.depth -= 1;
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn end_of(bytes: &[u8], from: usize, end: &[u8]) -> usize {
    let found = bytes[from..].windows(end.len()).position(|window| window == end);
    found.map_or(bytes.len(), |position| from + position + end.len())
}

/// Comments nest.
fn comment_end(bytes: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0_usize, from);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// A doubled quote continues the string; so does one behind a backslash in an `E''` string.
fn string_end(bytes: &[u8], from: usize, quote: u8, escapes: bool) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn dollar_end(bytes: &[u8], from: usize) -> usize {
    let tag = bytes[from + 1..].iter().take_while(|byte| is_word(**byte)).count();
    let closes = from + 1 + tag;
    let begins_word = from > 0 && is_word(bytes[from - 1]);
    if bytes.get(closes) != Some(&b'$') || begins_word || bytes[from + 1].is_ascii_digit() {
        return from + 1;
    }
    end_of(bytes, closes + 1, &bytes[from..=closes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: &[&str]) {
        let found: Vec<&str> = statements(sql).into_iter().map(|(_, statement)| statement).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn semicolons_inside_of_something_do_not_cut() {
        check("select ';'; select 2", &["select ';';", "select 2"]);
        check("select 'it''s;'; x;", &["select 'it''s;';", "x;"]);
        check(r"select E'\';'; x;", &[r"select E'\';';", "x;"]);
        check("create \"a;b\"; x;", &["create \"a;b\";", "x;"]);
        check("-- a;b\nselect 1; /* ; /* ; */ ; */ select 2;", &["select 1;", "select 2;"]);
        check("do $$ begin; end $$; x;", &["do $$ begin; end $$;", "x;"]);
        check("do $a$ $$;$$ $a$; x;", &["do $a$ $$;$$ $a$;", "x;"]);
        check("select $1; select a$b;", &["select $1;", "select a$b;"]);
        check(" ; ;\n-- nothing\n", &[]);
        let body =
            "create function f() returns int begin atomic select case when true then 1 end; select 2; end;";
        check(&format!("{body} select 3"), &[body, "select 3"]);
        check("begin; select 1; end; x", &["begin;", "select 1;", "end;", "x"]);
    }

    #[test]
    fn offsets_point_at_the_first_word() {
        assert_eq!(statements("\n  select 1;\n select 2;")[1].0, 14);
    }
}
