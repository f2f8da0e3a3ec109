// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AssayDomain} from "../lib/AssayDomain.sol";
import {Checkpoint} from "../lib/Messages.sol";
import {IStakeRegistry} from "../registry/IStakeRegistry.sol";

/// @notice Thrown when what is shown proves nothing.
error NotProven();
/// @notice Thrown when a reporter names a salt that he did not announce before.
error NotAnnounced();

/// @notice Faults that a contract can prove by itself.
enum Fault {
    TwoCommitments,
    TwoClaims,
    BadOpening,
    NonReveal,
    TwoRoots,
    ForkedLog,
    AttestationAgainstLog,
    AttestationAgainstClaims,
    FalseDraw,
    HiddenKey,
    HiddenAudit
}

/// @title How evidence becomes a conviction, and how its finder keeps the reward
abstract contract Conviction is AssayDomain {
    IStakeRegistry public immutable registry;

    /// @notice When a hash was announced (§ "Announcing").
    mapping(bytes32 hash => uint48) public announced;

    event Announced(bytes32 indexed hash);
    event Proven(Fault indexed fault, address indexed account, address indexed key, bytes32 evidence);

    constructor(IStakeRegistry registry_) AssayDomain(address(registry_)) {
        registry = registry_;
    }

    /// @notice Announces evidence without showing it: keccak256(abi.encode(evidence, reporter, salt)).
    /// @dev Optional. Who proves with an announcement gets the reward even if somebody copied his proof and was faster.
    function announce(bytes32 hash) external {
        if (announced[hash] == 0) announced[hash] = uint48(block.timestamp);
        emit Announced(hash);
    }

    /// @param evidence hash of what was shown
    /// @param salt of the announcement, or zero
    function _convict(Fault fault, address key, bytes32 evidence, bytes32 salt) internal {
        uint48 announcedAt;
        if (salt != bytes32(0)) {
            announcedAt = announced[keccak256(abi.encode(evidence, msg.sender, salt))];
            if (announcedAt == 0) revert NotAnnounced();
        }
        address account = registry.convict(key, msg.sender, announcedAt);
        emit Proven(fault, account, key, evidence);
    }

    /// @dev SAFETY: only the log that the account has named: an honest gateway's earlier log proves nothing.
    function _ofLog(address key, address headKey, Checkpoint calldata head) internal view {
        address account = registry.answers(key);
        if (registry.answers(headKey) != account) revert NotProven();
        if (registry.logOriginOf(account) != keccak256(bytes(head.origin))) revert NotProven();
    }
}
