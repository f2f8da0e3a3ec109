// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EpochEntry, LoggedEpoch} from "../../../contracts/chain/lib/EpochEntries.sol";
import {Hashes} from "../../../contracts/chain/lib/Hashes.sol";
import {LogMerkle} from "../../../contracts/chain/lib/LogMerkle.sol";
import {Checkpoint} from "../../../contracts/chain/lib/Messages.sol";
import {Base} from "./Base.sol";

/// @dev Logs of two epochs, each with the draw keys k0 and k1; with audits where a test says so.
abstract contract EpochLog is Base {
    bytes32 internal constant SECRET = "secret";
    bool internal _hasAudits;
    bool internal _triesScorers = true;

    /// @dev `first` at 0 and `second` at 1.
    function _epochs(uint32 first, uint32 second, uint64 place, uint64 laterPlace)
        internal
        view
        returns (Checkpoint memory head, LoggedEpoch memory epoch, LoggedEpoch memory later)
    {
        bytes32[2] memory leaves = [_leafOf(_entry(first)), _leafOf(_entry(second))];
        head = _checkpoint(2, LogMerkle.nodeHash(leaves[0], leaves[1]));
        epoch = LoggedEpoch(_entry(place == 0 ? first : second), place, new bytes32[](1));
        epoch.path[0] = leaves[1 - place];
        later = LoggedEpoch(_entry(laterPlace == 0 ? first : second), laterPlace, new bytes32[](1));
        later.path[0] = leaves[1 - laterPlace];
    }

    /// @dev The path of k1.
    function _pathOfKey() internal pure returns (bytes32[] memory path) {
        path = new bytes32[](1);
        path[0] = Hashes.drawKeyLeaf(0, "k0");
    }

    function _entry(uint32 epoch) internal view returns (EpochEntry memory) {
        bytes32 drawRoot = LogMerkle.nodeHash(Hashes.drawKeyLeaf(0, "k0"), Hashes.drawKeyLeaf(1, "k1"));
        bytes32 commitment = sha256(abi.encodePacked("assay/audit-commitment/1", bytes1(0), SECRET));
        return _hasAudits
            ? EpochEntry(1_800_000_000_123, commitment, _triesScorers ? 20_000 : 0, drawRoot, 2, epoch, "snapshot")
            : EpochEntry(1_800_000_000_123, 0, 0, drawRoot, 2, epoch, "snapshot");
    }

    /// @dev Written out by hand, with this test's own hex.
    function _leafOf(EpochEntry memory entry) internal view returns (bytes32) {
        bytes memory audits = _hasAudits
            ? abi.encodePacked(
                ',"auditCommitment":"', _hex(entry.auditCommitment), _triesScorers ? '","auditPpm":20000' : '"'
            )
            : bytes("");
        return LogMerkle.leafHash(
            abi.encodePacked(
                '{"atMs":1800000000123',
                audits,
                ',"drawRoot":"',
                _hex(entry.drawRoot),
                '","drawSize":2,"epoch":',
                entry.epoch == 1 ? "1" : "2",
                ',"snapshotHash":"',
                _hex(entry.snapshotHash),
                '","type":"epoch"}'
            )
        );
    }

    function _hex(bytes32 word) private pure returns (bytes memory text) {
        text = new bytes(66);
        (text[0], text[1]) = ("0", "x");
        for (uint256 i = 0; i < 64; ++i) {
            uint8 nibble = uint8(word[i / 2]) >> (i % 2 == 0 ? 4 : 0) & 15;
            text[2 + i] = bytes1(nibble < 10 ? 48 + nibble : 87 + nibble);
        }
    }
}
