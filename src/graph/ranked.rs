//! States and pieces of edges in ranks, before they are placed.

/// Width and height.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Distances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gaps {
    /// Between neighbours of a layer.
    pub(super) beside: f64,
    /// Between an edge and its neighbour.
    pub(super) edge: f64,
    /// Between layers.
    pub(super) layer: f64,
}

/// A vertex, or a piece of an edge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) size: Size,
    pub(super) rank: usize,
    pub(super) is_vertex: bool,
}

/// Cells by rank, and chains of cells: one for each edge, downwards.
pub(super) struct Ranked {
    pub(super) cells: Vec<Cell>,
    pub(super) layers: Vec<Vec<usize>>,
    pub(super) chains: Vec<Option<Chain>>,
}

pub(super) struct Chain {
    pub(super) cells: Vec<usize>,
    pub(super) upwards: bool,
}
