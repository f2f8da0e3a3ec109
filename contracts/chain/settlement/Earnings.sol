// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Hashes} from "../lib/Hashes.sol";
import {LogMerkle} from "../lib/LogMerkle.sol";
import {Checkpoint, Messages} from "../lib/Messages.sol";
import {NotController, NothingToMove, TooLate} from "../registry/RegistryState.sol";
import {Pool, SettlementState} from "./SettlementState.sol";

/// @notice Thrown when a root promises less than one before it, or settles an older log.
error RootGoesBack();
/// @notice Thrown when more is promised, withdrawn or claimed than the pool holds.
error PoolTooSmall();
/// @notice Thrown when a checkpoint is not of the gateway's log, or not signed by one of its keys.
error ForeignCheckpoint();
/// @notice Thrown when a claim is not about the latest active root.
error RootNotActive();
/// @notice Thrown when a leaf is not under the root.
error NotInTree();

/// @notice The tree of what every payee has earned in all, and the head of the log that it settles.
struct EarningsRoot {
    bytes32 root;
    uint64 leafCount;
    uint128 total;
    uint64 logSize;
    bytes32 logRoot;
}

/// @notice What a payee has earned in all, and where that stands under a root.
struct EarningsProof {
    uint64 rootIndex;
    EarningsRoot earnings;
    uint128 cumulative;
    uint64 leafIndex;
    bytes32[] path;
}

/// @title Earnings of providers as cumulative Merkle roots
abstract contract Earnings is SettlementState {
    /// @dev One slot: the first 26 bytes of the hash of an EarningsRoot, and when it is active. Two openings of one id
    /// would take 2^104 hashes.
    struct Root {
        bytes26 id;
        uint48 activeAt;
    }

    /// @notice Seconds from posting until a root pays: time to look at it, and to disable it.
    uint48 public immutable activationDelay;

    mapping(address gateway => mapping(uint64 index => Root)) private _roots;
    /// @notice What a payee has claimed of a gateway in all.
    mapping(address gateway => mapping(address payee => uint128)) public claimed;

    event Funded(address indexed gateway, address indexed from, uint128 amount);
    event MarginWithdrawn(address indexed gateway, address indexed to, uint128 amount);
    event RootPosted(
        address indexed gateway, uint64 indexed index, EarningsRoot earnings, uint48 activeAt
    );
    event RootDisabled(address indexed gateway, uint64 indexed index);
    event EarningsClaimed(address indexed gateway, address indexed payee, uint128 cumulative, uint128 amount);

    constructor(uint48 activationDelay_) {
        activationDelay = _boundedDelay(activationDelay_);
    }

    /// @notice Adds money to a gateway's pool; anybody may.
    function fund(address gateway, uint128 amount) external nonReentrant {
        _receive(amount);
        _pools[gateway].funded += amount;
        emit Funded(gateway, msg.sender, amount);
    }

    /// @notice Posts a root over all earnings up to one checkpoint of the gateway's log.
    /// @param total sum of all leaves; never less than in a root before, never more than the pool took in
    /// @param signature over the Checkpoint, by a key of the gateway
    function postRoot(
        address gateway,
        bytes32 root,
        uint64 leafCount,
        uint128 total,
        Checkpoint calldata head,
        bytes calldata signature
    ) external {
        _onlyGateway(gateway);
        Pool storage pool = _pools[gateway];
        if (total < pool.committed || head.size < pool.logSize) revert RootGoesBack();
        if (total > pool.funded - pool.withdrawn) revert PoolTooSmall();
        if (registry.logOriginOf(gateway) != keccak256(bytes(head.origin))) revert ForeignCheckpoint();
        if (registry.answers(_signerOf(Messages.hash(head), signature)) != gateway) revert ForeignCheckpoint();
        EarningsRoot memory earnings = EarningsRoot(root, leafCount, total, head.size, head.root);
        uint48 activeAt = _now() + activationDelay;
        uint64 index = pool.rootCount;
        _roots[gateway][index] = Root(_idOf(earnings), activeAt);
        pool.committed = total;
        pool.rootCount = index + 1;
        pool.logSize = head.size;
        emit RootPosted(gateway, index, earnings, activeAt);
    }

    /// @notice Takes the newest root back before it is active: the gateway, or a slasher.
    /// @param previous what the root before it stands for; ignored if there is none
    function disableRoot(address gateway, EarningsRoot calldata previous) external {
        if (!registry.mayAct(gateway, msg.sender) && !registry.isSlasher(msg.sender)) revert NotController();
        Pool storage pool = _pools[gateway];
        if (pool.rootCount == 0) revert RootNotActive();
        uint64 index = pool.rootCount - 1;
        if (_now() >= _roots[gateway][index].activeAt) revert TooLate();
        delete _roots[gateway][index];
        pool.rootCount = index;
        if (index != 0 && _roots[gateway][index - 1].id != _idOfCall(previous)) revert RootNotActive();
        pool.committed = index == 0 ? 0 : previous.total;
        pool.logSize = index == 0 ? 0 : previous.logSize;
        emit RootDisabled(gateway, index);
    }

    /// @notice Pays a payee all that the latest active root adds to what it has claimed; to whoever controls the payee.
    function claim(address gateway, address payee, EarningsProof calldata proof) external nonReentrant {
        (bytes26 id, uint48 activeAt) = _rootAt(gateway, proof.rootIndex);
        if (id != _idOfCall(proof.earnings) || !_isActive(activeAt)) revert RootNotActive();
        (, activeAt) = _rootAt(gateway, proof.rootIndex + 1);
        if (_isActive(activeAt)) revert RootNotActive();
        if (!_isUnder(payee, proof)) revert NotInTree();
        uint128 amount = _claimRest(gateway, payee, proof.cumulative, proof.earnings.total);
        _pay(registry.controllerOf(payee), amount);
    }

    /// @notice Withdraws what no root has promised; only the gateway's operator.
    function withdrawMargin(address gateway, uint128 amount, address to) external nonReentrant {
        if (registry.controllerOf(gateway) != msg.sender) revert NotController();
        if (amount == 0) revert NothingToMove();
        Pool storage pool = _pools[gateway];
        if (amount > pool.funded - pool.withdrawn - pool.committed) revert PoolTooSmall();
        pool.withdrawn += amount;
        emit MarginWithdrawn(gateway, to, amount);
        _pay(to, amount);
    }

    function rootOf(address gateway, uint64 index) external view returns (Root memory) {
        return _roots[gateway][index];
    }

    function _claimRest(address gateway, address payee, uint128 cumulative, uint128 total)
        private
        returns (uint128 amount)
    {
        uint128 before = claimed[gateway][payee];
        if (cumulative <= before) revert NothingToMove();
        amount = cumulative - before;
        uint128 paid = _pools[gateway].paid + amount;
        // SAFETY: leaves that sum to more than the root's total are paid only up to it.
        if (paid > total) revert PoolTooSmall();
        _pools[gateway].paid = paid;
        claimed[gateway][payee] = cumulative;
        emit EarningsClaimed(gateway, payee, cumulative, amount);
    }

    function _isUnder(address payee, EarningsProof calldata proof) private view returns (bool) {
        bytes32 leaf = Hashes.earningsLeaf(payee, proof.cumulative);
        EarningsRoot calldata earnings = proof.earnings;
        return LogMerkle.verifyInclusion(leaf, proof.leafIndex, earnings.leafCount, proof.path, earnings.root);
    }

    function _idOf(EarningsRoot memory earnings) private pure returns (bytes26) {
        return bytes26(keccak256(abi.encode(earnings)));
    }

    /// @dev The same of what stands in calldata, as it lies there. SAFETY: a word with dirty upper bits hashes to what nobody
    /// posted.
    function _idOfCall(EarningsRoot calldata earnings) private pure returns (bytes26 id) {
        bytes32 hash;
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, earnings, 160)
            hash := keccak256(free, 160)
        }
        // The first 26 bytes are the id (`Root`).
        // forge-lint: disable-next-line(unsafe-typecast)
        return bytes26(hash);
    }

    /// @dev One read for both.
    function _rootAt(address gateway, uint64 index) private view returns (bytes26, uint48) {
        Root memory root = _roots[gateway][index];
        return (root.id, root.activeAt);
    }

    function _isActive(uint48 activeAt) private view returns (bool) {
        return activeAt != 0 && _now() >= activeAt;
    }
}
