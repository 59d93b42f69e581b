// The cases as a Fastify user writes them: JSON Schema for what comes in and what goes out.
import Fastify from 'fastify'

const app = Fastify()
const text = (minLength, maxLength) => ({ type: 'string', minLength, maxLength })

app.get('/plaintext', (_, reply) => reply.type('text/plain').send('Hello, World!'))

const message = { type: 'object', properties: { message: { type: 'string' } } }
app.get('/json', { schema: { response: { 200: message } } }, async () => ({ message: 'Hello, World!' }))

const customer = {
  type: 'object',
  required: ['name', 'email'],
  properties: { name: text(1, 100), email: text(3, 254), phone: { type: ['string', 'null'] } }
}
const address = {
  type: 'object',
  required: ['street', 'city', 'postcode', 'country'],
  properties: { street: text(1, 200), city: text(1, 100), postcode: text(2, 12), country: text(2, 2) }
}
const line = {
  type: 'object',
  required: ['sku', 'title', 'quantity', 'price'],
  properties: {
    sku: text(3, 20),
    title: text(1, 200),
    quantity: { type: 'integer', minimum: 1, maximum: 10000 },
    price: { type: 'number', minimum: 0 },
    tags: { type: 'array', items: { type: 'string' }, default: [] }
  }
}
const order = {
  type: 'object',
  required: ['reference', 'customer', 'shipping', 'lines'],
  properties: {
    reference: text(1, 40),
    customer,
    shipping: address,
    lines: { type: 'array', minItems: 1, maxItems: 100, items: line },
    priority: { enum: ['economy', 'standard', 'express'], default: 'standard' },
    gift: { type: 'boolean', default: false },
    note: { type: ['string', 'null'] }
  }
}
const receipt = {
  type: 'object',
  properties: {
    reference: { type: 'string' },
    customer: { type: 'string' },
    lines: { type: 'integer' },
    units: { type: 'integer' },
    total: { type: 'number' },
    status: { type: 'string' }
  }
}
app.post('/order', { schema: { body: order, response: { 200: receipt } } }, async ({ body }) => {
  let units = 0
  let total = 0
  for (const each of body.lines) {
    units += each.quantity
    total += each.quantity * each.price
  }
  return {
    reference: body.reference,
    customer: body.customer.name,
    lines: body.lines.length,
    units,
    total,
    status: 'accepted'
  }
})

await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
