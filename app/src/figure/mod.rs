//! Draws [`engine::figure::Figure`] values. Long lines go to uPlot ([`chart`]); everything else becomes a [`scene`] that
//! is painted on a canvas ([`drawing`]) or written as SVG ([`svg`]).

pub mod axis;
pub mod canvas;
pub mod card;
pub mod cartesian;
pub mod chart;
pub mod csv;
pub mod distribution;
pub mod drawing;
pub mod export;
pub mod frame;
pub mod heatmap;
pub mod js;
pub mod key;
pub mod palette;
pub mod places;
pub mod plot;
pub mod regions;
pub mod ridgeline;
pub mod scene;
pub mod sheet;
pub mod strip;
pub mod svg;
pub mod tiles;
