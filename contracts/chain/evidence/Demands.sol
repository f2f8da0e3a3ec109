// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EpochEntries, LoggedEpoch} from "../lib/EpochEntries.sol";
import {Hashes} from "../lib/Hashes.sol";
import {LogMerkle} from "../lib/LogMerkle.sol";
import {Checkpoint, Messages, Opening, Ticket} from "../lib/Messages.sol";
import {NothingToMove, TimeOutOfBounds, TokenTookFee, TooEarly, TooLate} from "../registry/RegistryState.sol";
import {Fault, NotProven} from "./Conviction.sol";
import {GatewayFaults} from "./GatewayFaults.sol";

/// @notice Thrown when a demand was made before.
error DemandKnown();
/// @notice Thrown when there is no open demand.
error NoDemand();
/// @notice Thrown when an answer does not open what was demanded.
error WrongAnswer();

/// @notice A sealed chunk, and where it stands under its round's root (SPEC.md §5.2).
struct SealedChunk {
    bytes32 commitment;
    bytes32 roundRoot;
    uint32 index;
    uint8 slot;
    bytes32[] path;
}

/// @title Silence: what must be opened is demanded on chain, under a bond, and not answering in time costs stake
abstract contract Demands is GatewayFaults {
    using SafeERC20 for IERC20;

    /// @dev As much as a wrong output costs (spec-money.md 11.8): hiding one must not be cheaper.
    uint16 public constant SILENCE_BPS = 2_000;
    uint48 public constant ANSWER_MIN = 1 hours;
    uint48 public constant ANSWER_MAX = 7 days;
    uint64 private constant ROUND_WIDTH = 16;

    /// @notice Seconds that the accused has to answer.
    uint48 public immutable answerWindow;
    /// @notice What a demand costs its maker if it is answered: the answer's gas and trouble.
    uint128 public immutable demandBond;
    IERC20 private immutable _token;

    enum Status {
        None,
        Open,
        Answered,
        Silent
    }

    /// @dev `subject` is the provider's key, or the gateway's account.
    struct Demand {
        address account;
        uint48 answerBy;
        Status status;
        address demander;
        address subject;
        Fault fault;
        uint32 index;
        uint32 size;
        bytes32 expected;
    }

    mapping(bytes32 id => Demand) private _demands;
    /// @notice Bonds that their owner may take.
    mapping(address owner => uint128) public bonds;

    event Demanded(bytes32 indexed id, address indexed account, Fault fault, uint48 answerBy);
    event Answered(bytes32 indexed id, address indexed account);
    event StayedSilent(bytes32 indexed id, address indexed account);

    constructor(uint48 answerWindow_, uint128 demandBond_) {
        if (answerWindow_ < ANSWER_MIN || answerWindow_ > ANSWER_MAX) revert TimeOutOfBounds();
        answerWindow = answerWindow_;
        demandBond = demandBond_;
        _token = registry.token();
    }

    /// @notice Longest time from a demand to its end.
    function disputeTime() public view returns (uint48) {
        return 2 * answerWindow;
    }

    /// @notice Demands that a provider opens a sealed chunk that a signed permission lets it open (SPEC.md §5.3).
    function demandOpening(
        Ticket calldata ticket,
        bytes calldata ticketSignature,
        SealedChunk calldata chunk,
        bytes calldata permissionSignature,
        bytes calldata commitmentSignature
    ) external returns (bytes32 id) {
        if (block.timestamp * 1000 > ticket.retainUntilMs) revert TooLate();
        address gatewayKey = _signerOf(Messages.hash(ticket), ticketSignature);
        bytes32 permissionHash = Messages.permission(ticket.roundId, chunk.index, chunk.roundRoot);
        bytes32 commitmentHash = Messages.commitment(ticket.jobId, chunk.index, chunk.commitment);
        // SAFETY: only the ticket's own gateway permits, and a provider opens nothing that is not under the root.
        if (_signerOf(permissionHash, permissionSignature) != gatewayKey) revert NotProven();
        if (_signerOf(commitmentHash, commitmentSignature) != ticket.provider) revert NotProven();
        if (!_inRound(ticket.roundId, chunk)) revert NotProven();
        // SAFETY: a gateway that is not staked could demand with tickets that it makes up afterwards, for nothing.
        address issuer = registry.answers(gatewayKey);
        if (issuer == address(0) || registry.bondOf(issuer) < demandBond) revert NotProven();
        id = keccak256(abi.encode(Fault.NonReveal, ticket.provider, ticket.jobId, chunk.index, chunk.commitment));
        _open(id, ticket.provider, Fault.NonReveal, chunk.index, 0, chunk.commitment);
    }

    /// @notice Answers a demand for a chunk; anybody who knows the opening may.
    function answerOpening(bytes32 id, Opening calldata opening) external {
        Demand storage demand = _openDemand(id, Fault.NonReveal);
        if (Hashes.commitment(demand.subject, opening) != demand.expected) revert WrongAnswer();
        _answer(id, demand);
    }

    /// @notice Demands a draw key of an epoch that the log shows to be over.
    /// @param later a later epoch's entry, behind the epoch's own
    function demandKey(
        Checkpoint calldata head,
        bytes calldata signature,
        LoggedEpoch calldata epoch,
        LoggedEpoch calldata later,
        uint32 index
    ) external returns (bytes32 id) {
        if (index >= epoch.entry.drawSize) revert NotProven();
        address key = _signerOfOver(head, signature, epoch, later);
        id = keccak256(abi.encode(Fault.HiddenKey, registry.answers(key), epoch.entry.drawRoot, index));
        _open(id, key, Fault.HiddenKey, index, epoch.entry.drawSize, epoch.entry.drawRoot);
    }

    /// @notice Answers a demand for a draw key with the key and its path.
    function answerKey(bytes32 id, bytes32 key, bytes32[] calldata path) external {
        Demand storage demand = _openDemand(id, Fault.HiddenKey);
        bytes32 leaf = Hashes.drawKeyLeaf(demand.index, key);
        if (!LogMerkle.verifyInclusion(leaf, demand.index, demand.size, path, demand.expected)) revert WrongAnswer();
        _answer(id, demand);
    }

    /// @notice Demands the secret of the audits of an epoch that the log shows to be over (SPEC.md §8.1).
    /// @param later a later epoch's entry, behind the epoch's own
    function demandAudit(
        Checkpoint calldata head,
        bytes calldata signature,
        LoggedEpoch calldata epoch,
        LoggedEpoch calldata later
    ) external returns (bytes32 id) {
        bytes32 commitment = epoch.entry.auditCommitment;
        if (commitment == 0) revert NotProven();
        address key = _signerOfOver(head, signature, epoch, later);
        id = keccak256(abi.encode(Fault.HiddenAudit, registry.answers(key), commitment));
        _open(id, key, Fault.HiddenAudit, epoch.entry.epoch, 0, commitment);
    }

    /// @notice Answers a demand for an epoch's audits with their secret; anybody who found it in the log may.
    function answerAudit(bytes32 id, bytes32 secret) external {
        Demand storage demand = _openDemand(id, Fault.HiddenAudit);
        if (Hashes.auditCommitment(secret) != demand.expected) revert WrongAnswer();
        _answer(id, demand);
    }

    /// @notice Ends a demand that was not answered in time; anybody.
    function endSilence(bytes32 id) external {
        Demand storage demand = _demands[id];
        if (demand.status != Status.Open) revert NoDemand();
        if (block.timestamp < demand.answerBy) revert TooEarly(demand.answerBy);
        demand.status = Status.Silent;
        bonds[demand.demander] += demandBond;
        // SAFETY: silence needs nobody else. Who is accused of more than he has must not save a part of it from those whom
        // the other cases would pay, by demands of a friend that he does not answer: then all of it is burned.
        address[] memory right = new address[](registry.isCovered(demand.account) ? 1 : 0);
        if (right.length != 0) right[0] = demand.demander;
        registry.settle(id, address(0), 0, right);
        emit StayedSilent(id, demand.account);
        emit Proven(demand.fault, demand.account, demand.subject, id);
    }

    /// @notice Ends a demand whose share its time has released before anybody ended it: nobody loses anything.
    function dropDemand(bytes32 id) external {
        Demand storage demand = _demands[id];
        if (demand.status != Status.Open) revert NoDemand();
        uint48 endsAt = demand.answerBy + answerWindow;
        if (block.timestamp < endsAt) revert TooEarly(endsAt);
        demand.status = Status.Answered;
        bonds[demand.demander] += demandBond;
        // The registry has its own clock and gives the share back to anybody who asks.
        try registry.release(address(this), id) {} catch {}
    }

    function withdrawBond(address owner_, address to) external {
        if (registry.controllerOf(owner_) != msg.sender) revert NotProven();
        uint128 amount = bonds[owner_];
        if (amount == 0) revert NothingToMove();
        bonds[owner_] = 0;
        _token.safeTransfer(to, amount);
    }

    function demandOf(bytes32 id) external view returns (Demand memory) {
        return _demands[id];
    }

    function _open(bytes32 id, address subject, Fault fault, uint32 index, uint32 size, bytes32 expected) private {
        Demand storage demand = _demands[id];
        if (demand.status != Status.None) revert DemandKnown();
        demand.account = registry.answers(subject);
        demand.answerBy = uint48(block.timestamp) + answerWindow;
        demand.status = Status.Open;
        demand.demander = msg.sender;
        demand.subject = subject;
        demand.fault = fault;
        demand.index = index;
        demand.size = size;
        demand.expected = expected;
        registry.freeze(demand.account, id, SILENCE_BPS, disputeTime());
        emit Demanded(id, demand.account, fault, demand.answerBy);
        uint256 before = _token.balanceOf(address(this));
        _token.safeTransferFrom(msg.sender, address(this), demandBond);
        if (_token.balanceOf(address(this)) - before != demandBond) revert TokenTookFee();
    }

    /// @dev Who signed a head of the named log in which a later epoch's entry shows that the epoch is over.
    function _signerOfOver(
        Checkpoint calldata head,
        bytes calldata signature,
        LoggedEpoch calldata epoch,
        LoggedEpoch calldata later
    ) private view returns (address key) {
        if (later.entry.epoch <= epoch.entry.epoch || later.place <= epoch.place) revert NotProven();
        if (!EpochEntries.isIn(epoch, head) || !EpochEntries.isIn(later, head)) revert NotProven();
        key = _signerOf(Messages.hash(head), signature);
        _ofLog(key, key, head);
    }

    function _openDemand(bytes32 id, Fault fault) private view returns (Demand storage demand) {
        demand = _demands[id];
        if (demand.status != Status.Open || demand.fault != fault) revert NoDemand();
        if (block.timestamp >= demand.answerBy) revert TooLate();
    }

    /// @dev The bond goes to who had the trouble.
    function _answer(bytes32 id, Demand storage demand) private {
        demand.status = Status.Answered;
        bonds[demand.account] += demandBond;
        registry.release(address(this), id);
        emit Answered(id, demand.account);
    }

    function _inRound(bytes32 roundId, SealedChunk calldata chunk) private view returns (bool) {
        bytes32 leaf = Hashes.roundLeaf(roundId, chunk.index, chunk.slot, chunk.commitment);
        return LogMerkle.verifyInclusion(leaf, chunk.slot, ROUND_WIDTH, chunk.path, chunk.roundRoot);
    }
}
