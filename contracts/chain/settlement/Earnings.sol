// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EarningsTree} from "../lib/EarningsTree.sol";
import {Checkpoint, Messages} from "../lib/Messages.sol";
import {NotController, NothingToMove, TooLate} from "../registry/RegistryState.sol";
import {Books, SettlementState} from "./SettlementState.sol";

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
/// @notice Thrown when what is shown does not prove that a root takes from a payee.
error NotDisproved();

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
    mapping(address gateway => mapping(address payee => uint256)) public claimed;

    event Funded(address indexed gateway, address indexed from, uint128 amount);
    event MarginWithdrawn(address indexed gateway, address indexed to, uint128 amount);
    event RootPosted(
        address indexed gateway, uint64 indexed index, EarningsRoot earnings, uint48 activeAt
    );
    event RootDisabled(address indexed gateway, uint64 indexed index);
    event EarningsClaimed(address indexed gateway, address indexed payee, uint128 amount);

    constructor(uint48 activationDelay_) {
        activationDelay = _boundedDelay(activationDelay_);
    }

    /// @notice Adds money to a gateway's pool; anybody may.
    function fund(address gateway, uint128 amount) external nonReentrant {
        _receive(amount);
        _addTo(gateway, amount);
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
        Books storage pool = _pools[gateway];
        if (total < pool.committed || head.size < pool.logSize) revert RootGoesBack();
        if (total > pool.funded - pool.withdrawn) revert PoolTooSmall();
        if (registry.logOriginOf(gateway) != keccak256(bytes(head.origin))) revert ForeignCheckpoint();
        if (registry.answers(_signerOf(Messages.hash(head), signature)) != gateway) revert ForeignCheckpoint();
        EarningsRoot memory earnings = EarningsRoot(root, leafCount, total, head.size, head.root);
        uint48 activeAt = _now() + activationDelay;
        uint24 index = pool.rootCount;
        _roots[gateway][index] = Root(_idOf(earnings), activeAt);
        pool.rootCount = index + 1;
        pool.newestAt = SafeCast.toUint40(activeAt);
        pool.committed = SafeCast.toUint96(total);
        pool.logSize = head.size;
        emit RootPosted(gateway, index, earnings, activeAt);
    }

    /// @notice Takes the newest root back before it is active: the gateway, or a slasher.
    /// @param previous what the root before it stands for; ignored if there is none
    function disableRoot(address gateway, EarningsRoot calldata previous) external {
        if (!registry.mayAct(gateway, msg.sender) && !registry.isSlasher(msg.sender)) revert NotController();
        _dropNewest(gateway, previous);
    }

    /// @notice Takes the newest root back before it is active, because it promises a payee less than a root before it did;
    /// anybody who shows both. What a payee has earned in all never falls, so an honest gateway never posts such a root.
    /// @param before the payee's leaf under an earlier root
    /// @param since the payee's smaller leaf under the newest root; or, where it has none, the leaf that stands in its place
    /// @param right where the payee has no leaf: the leaf after `since`; `since` is then the one before the payee's place.
    /// At either end of the tree the one leaf there is shown twice.
    /// @param payees of the three leaves
    /// @param previous what the root before the newest stands for
    function disproveRoot(
        address gateway,
        EarningsProof calldata before,
        EarningsProof calldata since,
        EarningsProof calldata right,
        address[3] calldata payees,
        EarningsRoot calldata previous
    ) external {
        uint64 newest = _newestOf(gateway);
        if (before.rootIndex >= newest || since.rootIndex != newest || right.rootIndex != newest) revert NotDisproved();
        _mustStand(gateway, payees[0], before);
        _mustStand(gateway, payees[1], since);
        if (payees[1] == payees[0]) {
            if (since.cumulative >= before.cumulative) revert NotDisproved();
        } else {
            _mustStand(gateway, payees[2], right);
            if (!_isAbsent(payees, since, right)) revert NotDisproved();
        }
        _dropNewest(gateway, previous);
    }

    /// @notice Pays a payee all that the latest active root adds to what it has claimed; to whoever controls the payee.
    function claim(address gateway, address payee, EarningsProof calldata proof) external nonReentrant {
        Books storage pool = _pools[gateway];
        uint128 paid = _paidByLatest(_roots[gateway], pool, proof);
        uint128 cumulative = proof.cumulative;
        if (!_isUnder(payee, cumulative, proof)) revert NotInTree();
        uint128 amount = _claimRest(gateway, payee, cumulative);
        paid += amount;
        // SAFETY: leaves that sum to more than the root's total are paid only up to it.
        if (paid > proof.earnings.total) revert PoolTooSmall();
        // No root is posted with a total above 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        pool.paid = uint96(paid);
        _pay(registry.controllerOf(payee), amount);
    }

    /// @notice Withdraws what no root has promised; only the gateway's operator.
    function withdrawMargin(address gateway, uint128 amount, address to) external nonReentrant {
        if (registry.controllerOf(gateway) != msg.sender) revert NotController();
        if (amount == 0) revert NothingToMove();
        Books storage pool = _pools[gateway];
        if (amount > pool.funded - pool.withdrawn - pool.committed) revert PoolTooSmall();
        pool.withdrawn += SafeCast.toUint96(amount);
        emit MarginWithdrawn(gateway, to, amount);
        _pay(to, amount);
    }

    function rootOf(address gateway, uint64 index) external view returns (Root memory) {
        return _roots[gateway][index];
    }

    function _claimRest(address gateway, address payee, uint128 cumulative) private returns (uint128 amount) {
        mapping(address payee => uint256) storage claims = claimed[gateway];
        uint256 before = claims[payee];
        if (cumulative <= before) revert NothingToMove();
        // What was claimed before was a cumulative of 128 bits, and is less than this one.
        // forge-lint: disable-next-line(unsafe-typecast)
        amount = cumulative - uint128(before);
        claims[payee] = cumulative;
        emit EarningsClaimed(gateway, payee, amount);
    }

    function _isUnder(address payee, uint128 cumulative, EarningsProof calldata proof) private pure returns (bool) {
        bytes32 leaf = EarningsTree.leaf(payee, cumulative);
        EarningsRoot calldata earnings = proof.earnings;
        return EarningsTree.includes(leaf, proof.leafIndex, earnings.leafCount, proof.path, earnings.root);
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

    /// @dev What the pool has paid, where the root is active and the one after it is not. SAFETY: only a root that stands has
    /// the id of anything.
    function _paidByLatest(
        mapping(uint64 index => Root) storage roots,
        Books storage pool,
        EarningsProof calldata proof
    ) private view returns (uint96 paid) {
        uint40 newestAt;
        uint24 rootCount;
        // One slot, read once.
        (paid, newestAt, rootCount) = (pool.paid, pool.newestAt, pool.rootCount);
        uint64 index = proof.rootIndex;
        Root storage root = roots[index];
        if (root.id != _idOfCall(proof.earnings) || _now() < root.activeAt) revert RootNotActive();
        uint64 behind = rootCount - 1 - index;
        if (behind == 0) return paid;
        // Nearly always the one after it is the newest: its time stands in the slot that the claim writes anyway.
        if (_now() >= (behind == 1 ? newestAt : roots[index + 1].activeAt)) revert RootNotActive();
    }

    /// @dev The leaf is under a root that was posted and stands.
    function _mustStand(address gateway, address payee, EarningsProof calldata proof) private view {
        if (_roots[gateway][proof.rootIndex].id != _idOfCall(proof.earnings)) revert NotDisproved();
        if (!_isUnder(payee, proof.cumulative, proof)) revert NotInTree();
    }

    /// @dev Two leaves side by side with the payee between them, or the first or last leaf with the payee outside it. Leaves
    /// ascend by payee: where they do not, that is what is wrong with the root.
    function _isAbsent(address[3] calldata payees, EarningsProof calldata left, EarningsProof calldata right)
        private
        pure
        returns (bool)
    {
        (address payee, address lower, address upper) = (payees[0], payees[1], payees[2]);
        if (left.leafIndex + 1 == right.leafIndex) return lower < payee && payee < upper;
        if (left.leafIndex != right.leafIndex || lower != upper) return false;
        if (left.leafIndex == 0 && payee < lower) return true;
        return left.leafIndex + 1 == left.earnings.leafCount && lower < payee;
    }

    function _newestOf(address gateway) private view returns (uint24) {
        uint24 count = _pools[gateway].rootCount;
        if (count == 0) revert RootNotActive();
        return count - 1;
    }

    function _dropNewest(address gateway, EarningsRoot calldata previous) private {
        Books storage pool = _pools[gateway];
        uint24 index = _newestOf(gateway);
        if (_now() >= pool.newestAt) revert TooLate();
        delete _roots[gateway][index];
        pool.rootCount = index;
        if (index == 0) {
            (pool.committed, pool.logSize, pool.newestAt) = (0, 0, 0);
        } else {
            Root memory root = _roots[gateway][index - 1];
            if (root.id != _idOfCall(previous)) revert RootNotActive();
            pool.committed = SafeCast.toUint96(previous.total);
            pool.logSize = previous.logSize;
            pool.newestAt = SafeCast.toUint40(root.activeAt);
        }
        emit RootDisabled(gateway, index);
    }
}
