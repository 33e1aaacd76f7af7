// The provider contract at a real Vault with a real PostgreSQL, and at the stand-in that serves where there is none.
import { describeProviderContract } from './provider.js'
import {
  kvRecipe,
  realVaultMissing,
  realVaultUnderTest,
  secretRecipe,
  standInUnderTest,
  tokenRecipe,
} from './vault-under-test.js'

const skip = realVaultMissing()

for (const recipe of [secretRecipe, tokenRecipe, kvRecipe]) {
  describeProviderContract(`vault ${recipe.kind}, real server`, () => realVaultUnderTest(recipe), { skip })
  describeProviderContract(`vault ${recipe.kind}, stand-in`, () => standInUnderTest(recipe))
}
