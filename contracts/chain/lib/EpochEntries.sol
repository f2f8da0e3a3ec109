// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {LogMerkle} from "./LogMerkle.sol";
import {Checkpoint} from "./Messages.sol";

/// @notice One log entry of type `epoch` (SPEC.md §9.1). A commitment to audits or a share of trials that it does not have is 0.
struct EpochEntry {
    uint64 atMs;
    bytes32 auditCommitment;
    uint32 auditPpm;
    bytes32 drawRoot;
    uint32 drawSize;
    uint32 epoch;
    bytes32 snapshotHash;
}

/// @notice An epoch's entry, and where it stands in the log.
struct LoggedEpoch {
    EpochEntry entry;
    uint64 place;
    bytes32[] path;
}

/// @title Entries of epochs as a log holds them
library EpochEntries {
    /// @notice Whether the entry stands where it is said to under a head.
    function isIn(LoggedEpoch calldata epoch, Checkpoint calldata head) internal view returns (bool) {
        bytes32 leaf = LogMerkle.leafHash(text(epoch.entry));
        return LogMerkle.verifyInclusion(leaf, epoch.place, head.size, epoch.path, head.root);
    }

    /// @notice The entry's canonical JSON: members sorted, absent ones left out.
    function text(EpochEntry calldata entry) internal pure returns (bytes memory) {
        bytes memory audits = entry.auditCommitment == 0
            ? bytes("")
            : abi.encodePacked(',"auditCommitment":', _quoted(entry.auditCommitment));
        if (entry.auditPpm > 0) audits = abi.encodePacked(audits, ',"auditPpm":', Strings.toString(entry.auditPpm));
        return abi.encodePacked(
            abi.encodePacked('{"atMs":', Strings.toString(entry.atMs), audits, ',"drawRoot":', _quoted(entry.drawRoot)),
            abi.encodePacked(
                ',"drawSize":', Strings.toString(entry.drawSize), ',"epoch":', Strings.toString(entry.epoch)
            ),
            abi.encodePacked(',"snapshotHash":', _quoted(entry.snapshotHash), ',"type":"epoch"}')
        );
    }

    function _quoted(bytes32 word) private pure returns (bytes memory) {
        return abi.encodePacked('"', Strings.toHexString(uint256(word), 32), '"');
    }
}
