// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Conviction} from "./evidence/Conviction.sol";
import {Demands} from "./evidence/Demands.sol";
import {IStakeRegistry} from "./registry/IStakeRegistry.sol";

/// @title What signatures alone prove, judged by nobody (spec-chain.md, "Evidence")
/// @dev Has no owner and no way to be stopped.
contract Evidence is Demands {
    constructor(IStakeRegistry registry_, uint48 answerWindow_, uint128 demandBond_)
        Conviction(registry_)
        Demands(answerWindow_, demandBond_)
    {}
}
