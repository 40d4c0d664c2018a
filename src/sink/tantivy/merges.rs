//! Which segments are merged: those of one size when there are many, and any that is full of deleted documents.

use tantivy::SegmentMeta;
use tantivy::indexer::{LogMergePolicy, MergeCandidate, MergePolicy};

/// Segments with fewer documents than this are all of one size.
const SMALL_DOCUMENTS: u32 = 10_000;
/// So many segments of one size are merged into one.
const SEGMENTS_OF_A_SIZE: usize = 8;
/// Larger segments are not merged with others for their size.
const LARGE_DOCUMENTS: u32 = 10_000_000;
/// A segment with this share of deleted documents is merged for that alone: else deletes would never be.
const DELETED_SHARE: f32 = 0.25;

/// Keeps segments few and deletes bounded.
#[derive(Debug)]
pub(super) struct Merges {
    by_size: LogMergePolicy,
    large: u32,
}

impl Merges {
    pub(super) fn new() -> Merges {
        Merges::with_large(LARGE_DOCUMENTS)
    }

    fn with_large(large: u32) -> Merges {
        let mut by_size = LogMergePolicy::default();
        by_size.set_min_num_segments(SEGMENTS_OF_A_SIZE);
        by_size.set_min_layer_size(SMALL_DOCUMENTS);
        by_size.set_max_docs_before_merge(large as usize);
        by_size.set_del_docs_ratio_before_merge(DELETED_SHARE);
        Merges { by_size, large }
    }
}

impl MergePolicy for Merges {
    fn compute_merge_candidates(&self, segments: &[SegmentMeta]) -> Vec<MergeCandidate> {
        // Merging by size leaves large segments out, whatever was deleted of them.
        let full = |segment: &&SegmentMeta| {
            segment.num_docs() > self.large
                && segment.num_deleted_docs() as f32 > segment.max_doc() as f32 * DELETED_SHARE
        };
        let alone = segments.iter().filter(full).map(|segment| MergeCandidate(vec![segment.id()]));
        let mut candidates = self.by_size.compute_merge_candidates(segments);
        candidates.extend(alone);
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tantivy::schema::{STRING, Schema};
    use tantivy::{Index, IndexWriter, TantivyDocument, Term};

    /// Deleted documents left in an index of 1,000, of which so many were deleted one after the other.
    fn left_after(deletes: u64, merges: Merges) -> u32 {
        let mut schema = Schema::builder();
        let id = schema.add_text_field("id", STRING);
        let index = Index::create_in_ram(schema.build());
        let mut writer: IndexWriter = index.writer_with_num_threads(1, 15_000_000).unwrap();
        writer.set_merge_policy(Box::new(merges));
        for number in 0..1_000 {
            let mut document = TantivyDocument::default();
            document.add_text(id, number.to_string());
            writer.add_document(document).unwrap();
        }
        writer.commit().unwrap();
        for number in 0..deletes {
            writer.delete_term(Term::from_field_text(id, &number.to_string()));
        }
        writer.commit().unwrap();
        writer.wait_merging_threads().unwrap();
        index.load_metas().unwrap().segments.iter().map(SegmentMeta::num_deleted_docs).sum()
    }

    #[test]
    fn deletes_are_merged_away_when_they_are_many_in_small_and_in_large_segments() {
        for large in [LARGE_DOCUMENTS, 100] {
            assert_eq!(left_after(240, Merges::with_large(large)), 240, "few, {large}");
            assert_eq!(left_after(260, Merges::with_large(large)), 0, "many, {large}");
        }
        assert_eq!(left_after(260, Merges { by_size: LogMergePolicy::default(), large: LARGE_DOCUMENTS }), 260);
    }
}
