//! Where the scalars of a JSON text stand, by their names: what a shape is learnt from.
//!
//! Slow and particular: names are written without escapes and stand once in their object. What is not so is no outline.

use super::scalar::{Kind, scan};
use std::ops::Range;

/// How deep an outline goes. Above what Debezium writes, its schemas included.
const DEPTH_MAX: usize = 32;

/// A JSON value, by where its scalars stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// A scalar.
    Scalar(Range<usize>),
    /// An object's fields, in their order.
    Object(Vec<(String, Node)>),
    /// An array's elements.
    Array(Vec<Node>),
}

impl Node {
    /// The field called `name`.
    pub(crate) fn field(&self, name: &str) -> Option<&Node> {
        self.fields()?.iter().find(|(field, _)| field == name).map(|(_, node)| node)
    }

    /// The fields of an object.
    pub(crate) fn fields(&self) -> Option<&[(String, Node)]> {
        if let Node::Object(fields) = self { Some(fields) } else { None }
    }

    /// Where a scalar stands.
    pub(crate) fn scalar(&self) -> Option<Range<usize>> {
        if let Node::Scalar(at) = self { Some(at.clone()) } else { None }
    }
}

/// The outline of what stands `within` a line, which is one JSON value; `QUOTED` says that it stands inside of text.
pub(crate) fn outline<const QUOTED: bool>(line: &[u8], within: Range<usize>) -> Option<Node> {
    let mut walk = Walk::<QUOTED> { line: line.get(..within.end)?, at: within.start };
    let node = walk.value(DEPTH_MAX)?;
    walk.space();
    (walk.at == within.end).then_some(node)
}

struct Walk<'l, const QUOTED: bool> {
    line: &'l [u8],
    at: usize,
}

impl<const QUOTED: bool> Walk<'_, QUOTED> {
    fn rest(&self) -> &[u8] {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        self.at += self.rest().iter().take_while(|c| **c == b' ' || (!QUOTED && **c == b'\r')).count();
    }

    /// Whether `byte` is next, which then is behind.
    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let next = self.rest().first() == Some(&byte);
        self.at += usize::from(next);
        next
    }

    fn value(&mut self, levels: usize) -> Option<Node> {
        let deeper = levels.checked_sub(1)?;
        if self.take(b'{') {
            return self.object(deeper);
        }
        if self.take(b'[') {
            let mut elements = Vec::new();
            if self.take(b']') {
                return Some(Node::Array(elements));
            }
            loop {
                elements.push(self.value(deeper)?);
                if self.take(b']') {
                    return Some(Node::Array(elements));
                }
                self.take(b',').then_some(())?;
            }
        }
        let start = self.at;
        self.at += scan::<QUOTED>(self.rest())?.length;
        Some(Node::Scalar(start..self.at))
    }

    fn object(&mut self, levels: usize) -> Option<Node> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        if self.take(b'}') {
            return Some(Node::Object(fields));
        }
        loop {
            self.space();
            let scalar = scan::<QUOTED>(self.rest()).filter(|scalar| scalar.kind == Kind::Text)?;
            let name = std::str::from_utf8(self.rest().get(scalar.start..scalar.end)?).ok()?.to_owned();
            self.at += scalar.length;
            self.take(b':').then_some(())?;
            let value = self.value(levels)?;
            if fields.iter().any(|(field, _)| *field == name) {
                return None;
            }
            fields.push((name, value));
            if self.take(b'}') {
                return Some(Node::Object(fields));
            }
            self.take(b',').then_some(())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalars<'t>(text: &'t str, node: &Node, into: &mut Vec<&'t str>) {
        match node {
            Node::Scalar(at) => into.push(&text[at.clone()]),
            Node::Object(fields) => fields.iter().for_each(|(_, node)| scalars(text, node, into)),
            Node::Array(elements) => elements.iter().for_each(|node| scalars(text, node, into)),
        }
    }

    #[test]
    fn every_scalar_is_in_the_outline() {
        let text = r#" {"a":1, "b":[true,{"c":"x\n"},[ ]],"d":{}, "e":null} "#;
        let node = outline::<false>(text.as_bytes(), 0..text.len()).unwrap();
        let mut found = Vec::new();
        scalars(text, &node, &mut found);
        assert_eq!(found, ["1", "true", r#""x\n""#, "null"]);
        assert_eq!(node.field("a").and_then(Node::scalar), Some(6..7));

        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let node = outline::<true>(quoted.as_bytes(), 0..quoted.len()).unwrap();
        let mut found = Vec::new();
        scalars(&quoted, &node, &mut found);
        assert_eq!(found, ["1", "true", r#"\"x\\n\""#, "null"]);
    }

    #[test]
    fn what_is_unusual_has_no_outline() {
        let deep = format!("{}1{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"\u0061":1}"#,
            "{\"a\"\n:1}",
            r#"{"a":1}}"#,
            r#"{"a":1,}"#,
            "[1 2]",
            "{",
            "1e3",
            &deep,
        ] {
            assert_eq!(outline::<false>(text.as_bytes(), 0..text.len()), None, "{text}");
        }
    }
}
