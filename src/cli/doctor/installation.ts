import {
  describeMismatch,
  howToConfirm,
  maySendFrom,
  readInstallation,
} from '../../installation/installation.ts'
import { program } from '../program.ts'
import { type Check, wrong } from './finding.ts'

export const installation: Check = {
  name: 'installation',
  async look({ db, config }) {
    const found = await readInstallation(db, config.installation)
    return maySendFrom(found) ? [] : [wrong(describeMismatch(found), howToConfirm(found, program))]
  },
}
