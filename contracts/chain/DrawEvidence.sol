// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {Conviction, Fault, NotProven} from "./evidence/Conviction.sol";
import {EpochEntries, EpochEntry, LoggedEpoch} from "./lib/EpochEntries.sol";
import {Hashes} from "./lib/Hashes.sol";
import {LogMerkle} from "./lib/LogMerkle.sol";
import {Checkpoint, Draw, Messages} from "./lib/Messages.sol";
import {IStakeRegistry} from "./registry/IStakeRegistry.sol";

/// @notice One provider of a registry snapshot (SPEC.md §8). `rest` is the entry's text between its last model digest
/// and `,"stakeNano"`, as it stands in the canonical JSON: numeric classes, operator, region.
struct SnapshotEntry {
    address provider;
    bytes32[] modelDigests;
    bytes rest;
    uint128 stakeNano;
}

/// @notice Thrown when an entry's text holds a brace: entries could be read in two ways.
error Ambiguous();

/// @title A draw that does not follow from its opened key and the registry snapshot (SPEC.md §8)
/// @dev A slasher of its own: the code of the draw would not fit beside the rest of the evidence.
contract DrawEvidence is Conviction {
    constructor(IStakeRegistry registry_) Conviction(registry_) {}

    /// @notice Draws happen in one transaction: nothing is held open.
    function disputeTime() external pure returns (uint48) {
        return 0;
    }

    /// @notice Proves that a signed draw's order is not that of its key, body, nonce and snapshot.
    function proveFalseDraw(
        Draw calldata draw,
        bytes calldata signature,
        uint128 capNano,
        SnapshotEntry[] calldata entries,
        bytes32 salt
    ) external {
        if (snapshotHash(capNano, entries) != draw.snapshotHash) revert NotProven();
        bytes32 seed = Hashes.drawSeed(draw.key, draw.bodyHash, draw.nonceHash);
        if (Hashes.order(orderOf(capNano, entries, draw.modelDigest, seed)) == draw.orderHash) revert NotProven();
        bytes32 structHash = Messages.hash(draw);
        _convict(Fault.FalseDraw, _signerOf(structHash, signature), structHash, salt);
    }

    /// @notice Proves that a signed draw is of another key or another snapshot than the log's entry of its epoch holds.
    /// @param key the one that the epoch's root holds at the draw's index; where only the snapshots differ, not looked at
    function proveForeignDraw(
        Draw calldata draw,
        bytes calldata signature,
        Checkpoint calldata head,
        bytes calldata headSignature,
        LoggedEpoch calldata epoch,
        bytes32 key,
        bytes32[] calldata path,
        bytes32 salt
    ) external {
        if (!EpochEntries.isIn(epoch, head)) revert NotProven();
        if (!_isForeign(draw, epoch.entry, key, path)) revert NotProven();
        bytes32 structHash = Messages.hash(draw);
        address signer = _signerOf(structHash, signature);
        _ofLog(signer, _signerOf(Messages.hash(head), headSignature), head);
        _convict(Fault.FalseDraw, signer, structHash, salt);
    }

    function _isForeign(Draw calldata draw, EpochEntry calldata entry, bytes32 key, bytes32[] calldata path)
        private
        view
        returns (bool)
    {
        if (draw.epoch != entry.epoch) return false;
        if (draw.snapshotHash != entry.snapshotHash || draw.index >= entry.drawSize) return true;
        if (draw.key == key) return false;
        bytes32 leaf = Hashes.drawKeyLeaf(draw.index, key);
        return LogMerkle.verifyInclusion(leaf, draw.index, entry.drawSize, path, entry.drawRoot);
    }

    /// @notice H("assay/snapshot/1", canonical JSON of the snapshot).
    function snapshotHash(uint128 capNano, SnapshotEntry[] calldata entries) public pure returns (bytes32) {
        bytes memory text;
        for (uint256 i = 0; i < entries.length; ++i) {
            text = abi.encodePacked(text, i == 0 ? "" : ",", _entryText(entries[i]));
        }
        return sha256(
            abi.encodePacked(
                "assay/snapshot/1", bytes1(0), '{"capNano":"', Strings.toString(capNano), '","entries":[', text, "]}"
            )
        );
    }

    /// @notice The permutation of the providers that serve a model: weighted by capped stake, then those without stake.
    function orderOf(uint128 capNano, SnapshotEntry[] calldata entries, bytes32 modelDigest, bytes32 seed)
        public
        pure
        returns (address[] memory order)
    {
        address[] memory left = new address[](entries.length);
        uint256[] memory weights = new uint256[](entries.length);
        uint256 serving;
        for (uint256 i = 0; i < entries.length; ++i) {
            if (!_serves(entries[i], modelDigest)) continue;
            left[serving] = entries[i].provider;
            weights[serving++] = entries[i].stakeNano < capNano ? entries[i].stakeNano : capNano;
        }
        order = new address[](serving);
        uint32 step = _draw(order, 0, left, weights, serving, seed);
        // Who has no stake comes last, each with weight 1.
        for (uint256 i = 0; i < serving; ++i) weights[i] = left[i] == address(0) ? 0 : 1;
        _draw(order, step, left, weights, serving, seed);
    }

    /// @dev Draws until no weight is left; who is drawn loses his name and weight.
    function _draw(
        address[] memory order,
        uint32 step,
        address[] memory left,
        uint256[] memory weights,
        uint256 count,
        bytes32 seed
    ) private pure returns (uint32) {
        uint256 total;
        for (uint256 i = 0; i < count; ++i) total += weights[i];
        while (total != 0) {
            uint256 point = uint256(Hashes.hmac(seed, abi.encodePacked(step))) % total;
            uint256 next;
            while (point >= weights[next]) {
                point -= weights[next];
                ++next;
            }
            order[step++] = left[next];
            total -= weights[next];
            weights[next] = 0;
            left[next] = address(0);
        }
        return step;
    }

    function _serves(SnapshotEntry calldata entry, bytes32 modelDigest) private pure returns (bool) {
        for (uint256 i = 0; i < entry.modelDigests.length; ++i) {
            if (entry.modelDigests[i] == modelDigest) return true;
        }
        return false;
    }

    function _entryText(SnapshotEntry calldata entry) private pure returns (bytes memory) {
        // SAFETY: without braces in `rest`, no two entries can be passed off as one.
        for (uint256 i = 0; i < entry.rest.length; ++i) {
            if (entry.rest[i] == "{" || entry.rest[i] == "}") revert Ambiguous();
        }
        bytes memory digests;
        for (uint256 i = 0; i < entry.modelDigests.length; ++i) {
            digests = abi.encodePacked(
                digests, i == 0 ? '"' : ',"', Strings.toHexString(uint256(entry.modelDigests[i]), 32), '"'
            );
        }
        return abi.encodePacked(
            '{"address":"',
            Strings.toHexString(entry.provider),
            '","modelDigests":[',
            digests,
            "]",
            entry.rest,
            ',"stakeNano":"',
            Strings.toString(entry.stakeNano),
            '"}'
        );
    }
}
