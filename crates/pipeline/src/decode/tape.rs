//! Reading a parsed record in place: values are positions in simd-json's flat tape, and nothing is copied.

use simd_json::{Node, StaticNode};

/// One JSON value in a tape.
#[derive(Clone, Copy)]
pub(crate) struct Json<'t> {
    nodes: &'t [Node<'t>],
    at: usize,
}

impl<'t> Json<'t> {
    /// The whole document.
    pub fn root(nodes: &'t [Node<'t>]) -> Self {
        Self { nodes, at: 0 }
    }

    #[inline]
    pub fn as_str(self) -> Option<&'t str> {
        match self.nodes[self.at] {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_static(self) -> Option<StaticNode> {
        match self.nodes[self.at] {
            Node::Static(value) => Some(value),
            _ => None,
        }
    }

    /// The name and the value of an object's only member.
    #[inline]
    pub fn only_member(self) -> Option<(&'t str, Self)> {
        match self.nodes[self.at..] {
            [Node::Object { len: 1, .. }, Node::String(name), _, ..] => Some((name, Self { at: self.at + 2, ..self })),
            _ => None,
        }
    }

    /// The members of an object, in the order they were written.
    pub fn members(self) -> Option<Members<'t>> {
        match self.nodes[self.at] {
            Node::Object { len, .. } => Some(Members { nodes: self.nodes, next: self.at + 1, left: len }),
            _ => None,
        }
    }

    pub fn elements(self) -> Option<Elements<'t>> {
        match self.nodes[self.at] {
            Node::Array { len, .. } => Some(Elements { nodes: self.nodes, next: self.at + 1, left: len }),
            _ => None,
        }
    }

    /// Where the value behind this one starts.
    #[inline]
    fn end(self) -> usize {
        match self.nodes[self.at] {
            Node::Object { count, .. } | Node::Array { count, .. } => self.at + 1 + count,
            Node::String(_) | Node::Static(_) => self.at + 1,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Members<'t> {
    nodes: &'t [Node<'t>],
    next: usize,
    left: usize,
}

impl<'t> Iterator for Members<'t> {
    type Item = (&'t str, Json<'t>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let Node::String(name) = self.nodes[self.next] else {
            unreachable!("the parser puts a string before every member's value");
        };
        let value = Json { nodes: self.nodes, at: self.next + 1 };
        self.next = value.end();
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Members<'_> {}

#[derive(Clone)]
pub(crate) struct Elements<'t> {
    nodes: &'t [Node<'t>],
    next: usize,
    left: usize,
}

impl<'t> Iterator for Elements<'t> {
    type Item = Json<'t>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let element = Json { nodes: self.nodes, at: self.next };
        self.next = element.end();
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Elements<'_> {}
