// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AssayDomain, InvalidSignature} from "../lib/AssayDomain.sol";
import {Accounts} from "./Accounts.sol";

/// @notice Thrown when a key belongs to an account already: a key answers for one account, for ever.
error KeyTaken();
/// @notice Thrown when a key is not this account's, or was retired before.
error KeyNotLive();

/// @title Signing keys of the StakeRegistry
/// @dev A retired key answers for what it signed as long as stake would be unbonding: nobody escapes by changing keys.
abstract contract Keys is Accounts, AssayDomain {
    bytes32 private constant SIGNING_KEY = keccak256("SigningKey(address account,address key)");

    /// @dev `answersUntil` is 0 while the key is live.
    struct Key {
        address account;
        uint48 worksFrom;
        uint48 answersUntil;
    }

    mapping(address key => Key) public keys;

    event KeyAdded(address indexed account, address indexed key, uint48 worksFrom);
    event KeyRetired(address indexed account, address indexed key, uint48 answersUntil);

    /// @notice Adds a signing key; the first one works at once, each later one after the delay.
    /// @param proof the key's own signature over SigningKey: nobody adds a key that is not his
    function addKey(address account, address key, bytes calldata proof) external {
        _onlyOperator(account);
        _live(account);
        if (keys[key].account != address(0)) revert KeyTaken();
        if (_signerOf(keccak256(abi.encode(SIGNING_KEY, account, key)), proof) != key) revert InvalidSignature();
        uint48 worksFrom = _now() + (_accounts[account].keyCount == 0 ? 0 : keyDelay);
        _accounts[account].keyCount += 1;
        keys[key] = Key(account, worksFrom, 0);
        emit KeyAdded(account, key, worksFrom);
    }

    /// @notice Retires a key: it stops working now and answers for the unbonding delay.
    function retireKey(address account, address key) external {
        _onlyOperator(account);
        Key storage entry = keys[key];
        if (entry.account != account || entry.answersUntil != 0) revert KeyNotLive();
        entry.answersUntil = _now() + unbondDelay;
        emit KeyRetired(account, key, entry.answersUntil);
    }

    /// @notice The account that answers for what `key` signs now, or zero.
    function answers(address key) public view returns (address) {
        Key memory entry = keys[key];
        return entry.answersUntil == 0 || _now() < entry.answersUntil ? entry.account : address(0);
    }

    /// @notice Whether `sender` is the account's operator or one of its working keys.
    function mayAct(address account, address sender) external view returns (bool) {
        if (account == address(0)) return false;
        if (_accounts[account].operator == sender) return true;
        Key memory entry = keys[sender];
        return entry.account == account && entry.answersUntil == 0 && _now() >= entry.worksFrom;
    }
}
