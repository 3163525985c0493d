import type { Case } from './case.ts'
import { api } from './cases/api.ts'
import { bulk } from './cases/bulk.ts'
import { claimCost } from './cases/claim-cost.ts'
import { cpu } from './cases/cpu.ts'
import { dispatchers2 } from './cases/dispatchers-2.ts'
import { drain } from './cases/drain.ts'
import { drain1000 } from './cases/drain-1000.ts'
import { growth } from './cases/growth.ts'
import { isolationDead } from './cases/isolation-dead.ts'
import { isolationHanging } from './cases/isolation-hanging.ts'
import { isolationMany } from './cases/isolation-many.ts'
import { latency1000, latency200, latencyIdle, latencyOpen } from './cases/latency.ts'
import { memory } from './cases/memory.ts'
import { recovery } from './cases/recovery.ts'
import { recoveryFull } from './cases/recovery-full.ts'
import { retention } from './cases/retention.ts'
import { writers, writersNoUrl, writersTransaction } from './cases/writers.ts'

/** In the order in which they run. */
export const cases: Case[] = [
  drain,
  cpu,
  drain1000,
  dispatchers2,
  latencyIdle,
  latencyOpen,
  latency200,
  latency1000,
  writers,
  writersNoUrl,
  writersTransaction,
  bulk,
  growth,
  retention,
  memory,
  api,
  isolationDead,
  isolationHanging,
  isolationMany,
  claimCost,
  recovery,
  recoveryFull,
]
