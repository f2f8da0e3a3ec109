// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev A token whose behaviour tests can spoil.
contract TestToken is ERC20("Test", "TST") {
    enum Mood {
        Honest,
        Reverts,
        ReturnsFalse,
        TakesFee,
        Reenters
    }

    Mood public mood;
    address private _target;
    bytes private _call;
    bool public reentered;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    /// @dev The next transfer calls `target` before it moves anything.
    function attack(address target, bytes calldata call_) external {
        (mood, _target, _call, reentered) = (Mood.Reenters, target, call_, false);
    }

    function transfer(address to, uint256 amount) public virtual override returns (bool) {
        return _spoilt() ? false : super.transfer(to, _less(amount));
    }

    function transferFrom(address from, address to, uint256 amount) public virtual override returns (bool) {
        return _spoilt() ? false : super.transferFrom(from, to, _less(amount));
    }

    function _less(uint256 amount) private view returns (uint256) {
        return mood == Mood.TakesFee ? amount - 1 : amount;
    }

    function _spoilt() private returns (bool) {
        if (mood == Mood.Reverts) revert("token");
        if (mood == Mood.Reenters) {
            mood = Mood.Honest;
            (reentered,) = _target.call(_call);
        }
        return mood == Mood.ReturnsFalse;
    }
}

/// @dev A token without moods.
contract PlainToken is TestToken {
    function transfer(address to, uint256 amount) public override returns (bool) {
        _transfer(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        _spendAllowance(from, msg.sender, amount);
        _transfer(from, to, amount);
        return true;
    }
}
