// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {AssayDomain} from "./lib/AssayDomain.sol";
import {IStakeRegistry} from "./registry/IStakeRegistry.sol";
import {NotController, NothingToMove, TimeOutOfBounds, TokenTookFee, TooEarly, TooLate} from
    "./registry/RegistryState.sol";
import {RefereeSet, RefereeSets} from "./rulings/RefereeSets.sol";

/// @notice Thrown when a case is opened twice.
error CaseKnown();
/// @notice Thrown when a case is not in the state that a move needs.
error WrongState();
/// @notice Thrown when a division names a judge, is not in order, or is not the one that was ruled.
error BadDivision();

/// @notice Faults that need judgement; what signatures prove is not among them (spec-judge.md 7.8).
enum JudgedFault {
    WrongOutput,
    BadEvidence,
    CopiedOutput,
    LyingScorer,
    ModelSubstitution
}

enum Outcome {
    None,
    Upheld,
    Rejected
}

/// @notice Who gets what of a slash: the client's refund first, then those who were right.
struct Division {
    address client;
    uint128 refund;
    address[] right;
}

/// @notice Windows in seconds.
struct Windows {
    uint48 ruling;
    uint48 appeal;
    uint48 appealRuling;
}

/// @title Rulings of a replaceable referee set, with bond and appeal (spec-chain.md, "Rulings")
/// @dev INVARIANT: nothing moves before the time for appeal is over, or the appeal is ruled.
contract Rulings is RefereeSets {
    using SafeERC20 for IERC20;

    bytes32 private constant RULING = keccak256(
        "Ruling(bytes32 caseId,uint8 instance,uint8 outcome,address client,uint128 refund,bytes32 rightHash)"
    );
    uint48 public constant WINDOW_MIN = 1 hours;
    uint48 public constant WINDOW_MAX = 6 days;
    /// @dev Time to send the last transaction of a case.
    uint48 public constant GRACE = 1 days;
    uint256 public constant RIGHT_MAX = 15;
    /// @dev An appeal costs this many times a case's bond.
    uint128 public constant APPEAL_FACTOR = 2;

    IStakeRegistry public immutable registry;
    IERC20 private immutable _token;
    uint48 public immutable rulingWindow;
    uint48 public immutable appealWindow;
    uint48 public immutable appealRulingWindow;
    uint128 public immutable bond;

    enum State {
        None,
        Opened,
        Ruled,
        Appealed,
        Settled
    }

    struct Case {
        address account;
        uint48 deadline;
        uint48 lapsesAt;
        State state;
        address opener;
        uint32 version;
        Outcome outcome;
        address appellant;
        bytes32 disputeId;
        bytes32 divisionHash;
    }

    mapping(bytes32 caseId => Case) private _cases;
    /// @notice Whether a dispute about an account was upheld: it takes stake once.
    mapping(address account => mapping(bytes32 disputeId => bool)) public upheld;
    /// @notice Bonds that their owner may take.
    mapping(address owner => uint128) public bonds;

    event CaseOpened(
        bytes32 indexed caseId, address indexed account, bytes32 disputeId, bytes32 bundleHash, JudgedFault fault
    );
    event CaseRuled(bytes32 indexed caseId, uint8 instance, Outcome outcome, Division division);
    event CaseAppealed(bytes32 indexed caseId, address indexed appellant);
    event CaseSettled(bytes32 indexed caseId, Outcome outcome);

    constructor(
        IStakeRegistry registry_,
        address owner_,
        Windows memory windows,
        uint128 bond_,
        RefereeSet memory first,
        RefereeSet memory appeal_
    ) AssayDomain(address(registry_)) RefereeSets(owner_, first, appeal_) {
        registry = registry_;
        _token = registry_.token();
        rulingWindow = _bounded(windows.ruling);
        appealWindow = _bounded(windows.appeal);
        appealRulingWindow = _bounded(windows.appealRuling);
        bond = bond_;
    }

    /// @notice Longest time from a case's opening to its end.
    function disputeTime() public view returns (uint48) {
        return rulingWindow + appealWindow + appealRulingWindow + GRACE;
    }

    /// @notice Accuses an account under a bond, and freezes the fault's share of its stake.
    /// @param disputeId SPEC.md §1, `assay/dispute/1`
    /// @param bundleHash SHA-256 of the dispute bundle's canonical JSON: what the referees read
    function openCase(address account, bytes32 disputeId, bytes32 bundleHash, JudgedFault fault)
        external
        returns (bytes32 caseId)
    {
        // This contract's name is in it: what referees sign for one Rulings rules nothing in another.
        caseId = keccak256(abi.encode(address(this), account, disputeId, bundleHash, fault));
        Case storage opened = _cases[caseId];
        if (opened.state != State.None || upheld[account][disputeId]) revert CaseKnown();
        opened.account = account;
        opened.deadline = _now() + rulingWindow;
        opened.lapsesAt = _now() + disputeTime();
        opened.state = State.Opened;
        opened.opener = msg.sender;
        opened.version = version;
        opened.disputeId = disputeId;
        registry.freeze(account, caseId, shareOf(fault), disputeTime());
        emit CaseOpened(caseId, account, disputeId, bundleHash, fault);
        _receive(bond);
    }

    /// @notice Brings the first ruling: k of m signatures.
    function rule(bytes32 caseId, Outcome outcome, Division calldata division, bytes[] calldata signatures) external {
        Case storage judged = _in(caseId, State.Opened);
        if (_now() >= judged.deadline) revert TooLate();
        _check(caseId, judged, FIRST, outcome, division, signatures);
        judged.state = State.Ruled;
        judged.outcome = outcome;
        judged.divisionHash = keccak256(abi.encode(division));
        judged.deadline = _now() + appealWindow;
        emit CaseRuled(caseId, FIRST, outcome, division);
    }

    /// @notice Takes the ruling to the larger set, under a larger bond; anybody.
    function appeal(bytes32 caseId) external {
        Case storage judged = _in(caseId, State.Ruled);
        if (_now() >= judged.deadline) revert TooLate();
        judged.state = State.Appealed;
        judged.appellant = msg.sender;
        judged.deadline = _now() + appealRulingWindow;
        emit CaseAppealed(caseId, msg.sender);
        _receive(APPEAL_FACTOR * bond);
    }

    /// @notice Brings the ruling on appeal: final, and settled at once.
    function ruleAppeal(bytes32 caseId, Outcome outcome, Division calldata division, bytes[] calldata signatures)
        external
    {
        Case storage judged = _in(caseId, State.Appealed);
        if (_now() >= judged.deadline) revert TooLate();
        _check(caseId, judged, APPEAL, outcome, division, signatures);
        emit CaseRuled(caseId, APPEAL, outcome, division);
        // Who appealed in vain pays those whom the appeal kept waiting.
        address winner = outcome == Outcome.Upheld ? judged.opener : judged.account;
        bonds[outcome == judged.outcome ? winner : judged.appellant] += APPEAL_FACTOR * bond;
        _end(caseId, judged, outcome, division);
    }

    /// @notice Ends a case whose time is over; anybody. Silence of either set gives the stake back.
    function finalize(bytes32 caseId, Division calldata division) external {
        Case storage judged = _cases[caseId];
        if (judged.state == State.None || judged.state == State.Settled) revert WrongState();
        if (_now() < judged.deadline) revert TooEarly(judged.deadline);
        if (judged.state == State.Ruled) {
            if (judged.divisionHash != keccak256(abi.encode(division))) revert BadDivision();
            _end(caseId, judged, judged.outcome, division);
            return;
        }
        // A rejection that the larger set says nothing to stands: who appealed it held the share for nothing.
        address owner_ = judged.outcome == Outcome.Rejected ? judged.account : judged.appellant;
        if (judged.state == State.Appealed) bonds[owner_] += APPEAL_FACTOR * bond;
        _end(caseId, judged, Outcome.None, division);
    }

    function withdrawBond(address owner_, address to) external {
        if (registry.controllerOf(owner_) != msg.sender) revert NotController();
        uint128 amount = bonds[owner_];
        if (amount == 0) revert NothingToMove();
        bonds[owner_] = 0;
        _token.safeTransfer(to, amount);
    }

    function caseOf(bytes32 caseId) external view returns (Case memory) {
        return _cases[caseId];
    }

    /// @notice Share of the stake that a fault costs, in basis points (spec-money.md 11.8).
    function shareOf(JudgedFault fault) public pure returns (uint16) {
        if (fault == JudgedFault.ModelSubstitution) return 5_000;
        if (fault == JudgedFault.LyingScorer) return 3_000;
        return 2_000;
    }

    function _end(bytes32 caseId, Case storage judged, Outcome outcome, Division calldata division) private {
        // Who accuses and is not upheld pays whom he held up: otherwise anybody holds stake for nothing where referees are silent.
        Outcome last = outcome == Outcome.None ? judged.outcome : outcome;
        bonds[last == Outcome.Upheld ? judged.opener : judged.account] += bond;
        judged.state = State.Settled;
        judged.outcome = outcome;
        bool takes = outcome == Outcome.Upheld && _now() < judged.lapsesAt && !upheld[judged.account][judged.disputeId];
        if (takes) {
            upheld[judged.account][judged.disputeId] = true;
            registry.settle(caseId, division.client, division.refund, division.right);
        } else {
            // After its time anybody may have released the share already.
            try registry.release(address(this), caseId) {} catch {}
        }
        emit CaseSettled(caseId, outcome);
    }

    function _check(
        bytes32 caseId,
        Case storage judged,
        uint8 instance,
        Outcome outcome,
        Division calldata division,
        bytes[] calldata signatures
    ) private view {
        if (outcome == Outcome.None) revert WrongState();
        uint32 under = judged.version;
        if (_isJudge(under, division.client) || division.right.length > RIGHT_MAX) revert BadDivision();
        address before = address(0);
        for (uint256 i = 0; i < division.right.length; ++i) {
            // SAFETY: what the registry would refuse must be refused here, or the case could never settle.
            if (division.right[i] <= before) revert BadDivision();
            before = division.right[i];
            if (_isJudge(under, division.right[i])) revert BadDivision();
        }
        bytes32 structHash = keccak256(
            abi.encode(
                RULING,
                caseId,
                instance,
                uint8(outcome),
                division.client,
                division.refund,
                keccak256(abi.encodePacked(division.right))
            )
        );
        _countVoices(under, instance, structHash, signatures);
    }

    /// @dev Nobody who judges is paid out of what he takes.
    function _isJudge(uint32 under, address who) private view returns (bool) {
        return _isMember[under][FIRST][who] || _isMember[under][APPEAL][who];
    }

    function _in(bytes32 caseId, State state) private view returns (Case storage judged) {
        judged = _cases[caseId];
        if (judged.state != state) revert WrongState();
    }

    function _receive(uint128 amount) private {
        uint256 before = _token.balanceOf(address(this));
        _token.safeTransferFrom(msg.sender, address(this), amount);
        if (_token.balanceOf(address(this)) - before != amount) revert TokenTookFee();
    }

    function _setDelay() internal view override returns (uint48) {
        return disputeTime();
    }

    function _bounded(uint48 window) private pure returns (uint48) {
        if (window < WINDOW_MIN || window > WINDOW_MAX) revert TimeOutOfBounds();
        return window;
    }

    function _now() private view returns (uint48) {
        return uint48(block.timestamp);
    }
}
