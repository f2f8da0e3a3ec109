// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IStakeRegistry} from "./registry/IStakeRegistry.sol";
import {Earnings} from "./settlement/Earnings.sol";
import {Escrow} from "./settlement/Escrow.sol";
import {SettlementState} from "./settlement/SettlementState.sol";

/// @title Clients' escrow and providers' earnings (spec-chain.md, "Settlement")
/// @dev Has no owner: nobody can change it, stop it or take anything out of it but what is his.
contract Settlement is Escrow, Earnings {
    constructor(IStakeRegistry registry_, uint48 exitDelay_, uint48 activationDelay_)
        SettlementState(registry_)
        Escrow(exitDelay_)
        Earnings(activationDelay_)
    {}
}
