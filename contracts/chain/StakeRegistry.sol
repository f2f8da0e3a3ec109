// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {AssayDomain} from "./lib/AssayDomain.sol";
import {Convicted} from "./registry/Accounts.sol";
import {Keys} from "./registry/Keys.sol";
import {
    Account,
    NothingToMove,
    RegistryState,
    TimeOutOfBounds,
    Times,
    TooEarly,
    TooLate,
    Unbonding,
    UnknownAccount
} from "./registry/RegistryState.sol";
import {Slashers} from "./registry/Slashers.sol";

/// @notice Thrown when no account answers for a key.
error NobodyAnswers();
/// @notice Thrown when a slasher uses one id twice.
error IdUsed();
/// @notice Thrown when nothing is frozen under an id.
error NotFrozen();
/// @notice Thrown when a share is 0 or above the whole.
error ShareOutOfBounds();
/// @notice Thrown when those who were right are not in strictly ascending order.
error NotAscending();

/// @title Stake of providers and gateways, and what takes it (spec-chain.md, "StakeRegistry")
/// @dev Also the verifying contract of the protocol's EIP-712 domain.
contract StakeRegistry is Keys, Slashers {
    using SafeERC20 for IERC20;

    /// @dev At least this share of every slash is burned: what a lie costs even who accuses himself.
    uint16 public constant BURN_BPS = 2_000;
    /// @dev At most this share goes to those who were right.
    uint16 public constant REWARD_BPS = 3_000;
    uint16 public constant WHOLE_BPS = 10_000;
    /// @dev One seat of a round is always padding: 15 can have been right (SPEC.md §5.2).
    uint256 public constant RIGHT_MAX = 15;
    /// @dev Longest time that one case holds stake.
    uint48 public constant FREEZE_MAX = 21 days;
    /// @dev How long an announcement of evidence goes before others.
    uint48 public constant ANNOUNCED_MAX = 1 days;
    /// @notice Who gets what is burned: nobody has this address' key.
    address public constant BURN = 0x000000000000000000000000000000000000dEaD;

    /// @dev `until` is kept when the share is gone, so that an id is used once.
    struct Frozen {
        address account;
        uint48 until;
        uint128 amount;
    }

    mapping(bytes32 slasherAndId => Frozen) private _frozen;
    /// @dev When the reporter of a conviction announced it; 0 where he did not.
    mapping(address account => uint48) private _announcedAt;

    event AccountConvicted(address indexed account, address indexed reporter, address indexed slasher);
    event StakeFrozenFor(address indexed account, address indexed slasher, bytes32 id, uint128 amount, uint48 until);
    event StakeReleased(address indexed account, address indexed slasher, bytes32 id, uint128 amount);
    event StakeSlashed(address indexed account, uint128 amount, uint128 refunded, uint128 rewarded, uint128 burned);

    constructor(IERC20 token_, address owner_, Times memory times)
        RegistryState(token_, owner_, times)
        AssayDomain(address(this))
    {}

    /// @notice Convicts the account that answers for `key`: all its stake, active and queued, goes after the pot window.
    /// @dev A second call only replaces the reporter, by one that announced the evidence before the conviction: who
    /// copies a transaction out of the queue gains nothing.
    /// INVARIANT: the time of the conviction never changes: what harmed clients have of the pot window is theirs.
    function convict(address key, address reporter, uint48 announcedAt) external returns (address account) {
        _onlySlasher();
        account = answers(key);
        if (account == address(0)) revert NobodyAnswers();
        Account storage held = _accounts[account];
        uint48 convictedAt = held.convictedAt;
        if (convictedAt == 0) {
            convictedAt = _now();
            held.convictedAt = convictedAt;
            held.reporter = reporter;
            if (_isFresh(announcedAt, convictedAt)) _announcedAt[account] = announcedAt;
        } else {
            uint48 before = _announcedAt[account];
            bool first = _isFresh(announcedAt, convictedAt) && (before == 0 || announcedAt < before);
            if (!first || _now() >= convictedAt + potWindow) revert Convicted();
            _announcedAt[account] = announcedAt;
            held.reporter = reporter;
        }
        emit AccountConvicted(account, reporter, msg.sender);
    }

    /// @notice Divides what a convicted account holds beside open cases; anybody, after the pot window.
    function collect(address account) external {
        Account storage held = _accounts[account];
        if (held.convictedAt == 0) revert UnknownAccount();
        uint48 readyAt = held.convictedAt + potWindow;
        if (_now() < readyAt) revert TooEarly(readyAt);
        uint128 amount = _free(held);
        if (amount == 0) revert NothingToMove();
        _take(account, amount);
        address[] memory right = new address[](1);
        right[0] = held.reporter;
        _divide(account, amount, address(0), 0, right);
    }

    /// @notice Holds a share of the stake for one case of the calling slasher.
    /// @dev SAFETY: a share is not cut to what other cases leave. Otherwise the accused holds all of his stake under cases of
    /// friends, renews them until he has left, and nobody else's case ever reaches it.
    function freeze(address account, bytes32 id, uint16 shareBps, uint48 duration) external returns (uint128 amount) {
        _onlySlasher();
        if (shareBps == 0 || shareBps > WHOLE_BPS) revert ShareOutOfBounds();
        if (duration > FREEZE_MAX) revert TimeOutOfBounds();
        Account storage held = _accounts[account];
        if (held.convictedAt != 0 && _now() >= held.convictedAt + potWindow) revert Convicted();
        Frozen storage share = _frozen[_idOf(msg.sender, id)];
        if (share.until != 0) revert IdUsed();
        amount = uint128(uint256(held.active + held.queued) * shareBps / WHOLE_BPS);
        if (amount == 0) revert NothingToMove();
        held.frozen += amount;
        share.account = account;
        share.amount = amount;
        share.until = _now() + duration;
        emit StakeFrozenFor(account, msg.sender, id, amount, share.until);
    }

    /// @notice Takes a frozen share, or what is left of the stake if that is less, and divides it.
    function settle(bytes32 id, address client, uint128 refund, address[] calldata right) external {
        (address account, uint128 amount, uint48 until) = _unfreeze(msg.sender, id);
        if (_now() >= until) revert TooLate();
        uint128 bond = _accounts[account].active + _accounts[account].queued;
        if (amount > bond) amount = bond;
        _take(account, amount);
        _divide(account, amount, client, refund, right);
    }

    /// @notice Gives a frozen share back.
    function release(address slasher, bytes32 id) external {
        (address account, uint128 amount, uint48 until) = _unfreeze(slasher, id);
        if (msg.sender != slasher && _now() < until) revert TooEarly(until);
        emit StakeReleased(account, slasher, id, amount);
    }

    /// @notice Sends what was burned to nobody's address.
    function burn() external nonReentrant {
        uint128 amount = credits[BURN];
        if (amount == 0) revert NothingToMove();
        credits[BURN] = 0;
        token.safeTransfer(BURN, amount);
    }

    function frozenOf(address slasher, bytes32 id) external view returns (Frozen memory) {
        return _frozen[_idOf(slasher, id)];
    }

    function _unfreeze(address slasher, bytes32 id) private returns (address account, uint128 amount, uint48 until) {
        Frozen storage share = _frozen[_idOf(slasher, id)];
        (account, amount, until) = (share.account, share.amount, share.until);
        if (amount == 0) revert NotFrozen();
        share.amount = 0;
        _accounts[account].frozen -= amount;
    }

    /// @dev Active stake first, then the queue from its end.
    function _take(address account, uint128 amount) private {
        Account storage held = _accounts[account];
        uint128 fromActive = amount < held.active ? amount : held.active;
        held.active -= fromActive;
        uint128 left = amount - fromActive;
        held.queued -= left;
        Unbonding[] storage queue = _unbondings[account];
        while (left != 0) {
            Unbonding storage entry = queue[queue.length - 1];
            uint128 part = left < entry.amount ? left : entry.amount;
            entry.amount -= part;
            left -= part;
            if (entry.amount == 0) queue.pop();
        }
    }

    /// @dev Burn minimum, client, those who were right in equal parts, the rest burned: the order of spec-money.md 11.8.
    function _divide(address account, uint128 amount, address client, uint128 refund, address[] memory right) private {
        if (right.length > RIGHT_MAX) revert ShareOutOfBounds();
        uint128 burned = uint128((uint256(amount) * BURN_BPS + WHOLE_BPS - 1) / WHOLE_BPS);
        uint128 left = amount - burned;
        uint128 refunded = client == address(0) ? 0 : (refund < left ? refund : left);
        left -= refunded;
        _credit(client, refunded);
        uint128 rewards = uint128(uint256(amount) * REWARD_BPS / WHOLE_BPS);
        if (rewards > left) rewards = left;
        uint128 rewarded = _reward(account, rewards, right);
        burned = amount - refunded - rewarded;
        _credit(BURN, burned);
        emit StakeSlashed(account, amount, refunded, rewarded, burned);
    }

    function _reward(address account, uint128 rewards, address[] memory right) private returns (uint128 rewarded) {
        if (right.length == 0) return 0;
        uint128 each = rewards / uint128(right.length);
        address before = address(0);
        for (uint256 i = 0; i < right.length; ++i) {
            // A name counts once, and the loser's own does not count.
            if (right[i] <= before) revert NotAscending();
            before = right[i];
            if (right[i] == account || right[i] == _accounts[account].operator) continue;
            _credit(right[i], each);
            rewarded += each;
        }
    }

    /// @dev Whether an announcement goes before a conviction that somebody else was faster with.
    function _isFresh(uint48 announcedAt, uint48 convictedAt) private pure returns (bool) {
        return announcedAt < convictedAt && announcedAt + ANNOUNCED_MAX >= convictedAt;
    }

    function _idOf(address slasher, bytes32 id) private pure returns (bytes32) {
        return keccak256(abi.encode(slasher, id));
    }
}
