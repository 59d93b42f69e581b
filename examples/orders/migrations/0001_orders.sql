create table products (
  sku text primary key,
  price_cents bigint not null check (price_cents >= 0),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  stock integer not null check (stock >= 0)
);

create table orders (
  id uuid primary key,
  customer text not null,
  state text not null check (state in ('open', 'placed', 'confirmed', 'cancelled')),
  discount_cents bigint not null,
  version bigint not null,
  created_at timestamptz not null default now()
);
create index orders_customer_id_idx on orders (customer, id);

create table order_lines (
  order_id uuid not null references orders on delete cascade,
  sku text not null references products,
  quantity integer not null check (quantity > 0),
  price_cents bigint not null check (price_cents >= 0),
  currency text not null,
  primary key (order_id, sku)
);
create index order_lines_sku_idx on order_lines (sku);

create table mails (
  id bigint generated always as identity primary key,
  recipient text not null,
  text text not null
);

-- migrate:down
drop table mails, order_lines, orders, products;
