//! What a shard's relatives say about it.

use std::collections::BTreeSet;

use crate::change::ShardId;
use crate::checkpoint::Gap;
use crate::source::StartPosition;
use crate::source::shard_tree::{CHILDLESS_LISTINGS_MAX, Discovery, Progress, Shard, ShardTree, Start};

impl ShardTree {
    /// Whether the stream should be listed again soon: a decision waits for it.
    pub fn wants_listing(&self) -> bool {
        let is_doubtful = |(id, shard): (&ShardId, &Shard)| match shard.progress {
            Progress::Unread => shard.parents.iter().chain([id]).any(|id| self.missing.contains(id)),
            Progress::Reading(_) => self.missing.contains(id),
            Progress::Ended => self.is_childless(id) && shard.childless_listings < CHILDLESS_LISTINGS_MAX,
        };
        !self.is_listed || self.shards.iter().any(is_doubtful)
    }

    pub(super) fn missing_from(&self, names: &BTreeSet<ShardId>) -> BTreeSet<ShardId> {
        let unread = self.shards.values().filter(|shard| shard.progress == Progress::Unread);
        let parents = unread.flat_map(|shard| &shard.parents);
        self.shards.keys().chain(parents).filter(|id| !names.contains(*id)).cloned().collect()
    }

    /// Ends the shards that were trimmed before we had read them, with a gap each.
    pub(super) fn give_up(&mut self, gone: &BTreeSet<ShardId>, discovery: &mut Discovery) -> BTreeSet<ShardId> {
        let mut lost = BTreeSet::new();
        for id in gone {
            let Some(shard) = self.shards.get_mut(id) else { continue };
            if shard.progress == Progress::Ended {
                continue;
            }
            shard.progress = Progress::Ended;
            discovery.gaps.push(shard.gap(id));
            discovery.ended.push(id.clone());
            lost.insert(id.clone());
        }
        lost
    }

    pub(super) fn open(&mut self, gone: &BTreeSet<ShardId>, lost: &BTreeSet<ShardId>, discovery: &mut Discovery) {
        let unread = self.shards.iter().filter(|(_, shard)| shard.progress == Progress::Unread);
        let ready: Vec<_> = unread
            .filter(|(id, shard)| !self.missing.contains(*id) && self.ancestors_are_done(shard, gone))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ready {
            let gap = self.lost_before(&id, gone, lost).filter(|gap| !discovery.gaps.contains(gap));
            discovery.gaps.extend(gap);
            let shard = self.shards.get_mut(&id).expect("it was found above");
            shard.progress = Progress::Reading(match self.start {
                StartPosition::Latest if shard.is_first => Start::Latest,
                StartPosition::AtTimestamp(from_ms) if shard.is_first => Start::AtTimestamp(from_ms),
                _ => Start::TrimHorizon,
            });
            discovery.opened.push(id);
        }
    }

    /// The direct parents are not enough: they may have been given up while their own parents are still read.
    pub(super) fn ancestors_are_done(&self, shard: &Shard, gone: &BTreeSet<ShardId>) -> bool {
        let mut left: Vec<&ShardId> = shard.parents.iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = left.pop() {
            if self.missing.contains(id) && !gone.contains(id) && shard.parents.contains(id) {
                return false;
            }
            let Some(ancestor) = self.shards.get(id).filter(|_| seen.insert(id)) else { continue };
            if ancestor.progress != Progress::Ended {
                return false;
            }
            left.extend(&ancestor.parents);
        }
        true
    }

    /// What is lost where a shard is opened one of whose parents has left the stream: descriptors go with their records,
    /// so the shard's own beginning is as old as that.
    pub(super) fn lost_before(&self, id: &ShardId, gone: &BTreeSet<ShardId>, lost: &BTreeSet<ShardId>) -> Option<Gap> {
        let shard = &self.shards[id];
        let parent = shard.parents.iter().find(|parent| gone.contains(*parent) && !lost.contains(*parent))?;
        if shard.is_first {
            return None;
        }
        let had_read_parent = self.shards.contains_key(parent);
        Some(Gap { shard: if had_read_parent { id } else { parent }.to_string(), after: None })
    }

    pub(super) fn forget(&mut self, gone: &BTreeSet<ShardId>, discovery: &mut Discovery) {
        for id in gone {
            let is_known = self.shards.contains_key(id);
            let is_awaited = self.children(id).any(|child| child.progress == Progress::Unread);
            if is_known && !is_awaited {
                self.shards.remove(id);
                self.missing.remove(id);
                discovery.forgotten.push(id.clone());
            }
        }
    }

    pub(super) fn count_childless(&mut self, names: &BTreeSet<ShardId>) {
        let childless: Vec<_> = names.iter().filter(|id| self.is_childless(id)).cloned().collect();
        for id in childless {
            let shard = self.shards.get_mut(&id).expect("what was listed is known");
            shard.childless_listings = shard.childless_listings.saturating_add(1);
        }
    }

    /// An ended shard whose children are not listed (yet).
    pub(super) fn is_childless(&self, id: &ShardId) -> bool {
        self.shards[id].progress == Progress::Ended && self.children(id).next().is_none()
    }

    pub(super) fn children(&self, id: &ShardId) -> impl Iterator<Item = &Shard> {
        self.shards.values().filter(move |shard| shard.parents.contains(id))
    }
}
