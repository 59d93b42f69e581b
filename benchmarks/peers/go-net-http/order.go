package main

type Customer struct {
	Name  string  `json:"name" validate:"required,min=1,max=100"`
	Email string  `json:"email" validate:"required,min=3,max=254"`
	Phone *string `json:"phone"`
}

type Address struct {
	Street   string `json:"street" validate:"required,min=1,max=200"`
	City     string `json:"city" validate:"required,min=1,max=100"`
	Postcode string `json:"postcode" validate:"required,min=2,max=12"`
	Country  string `json:"country" validate:"required,len=2"`
}

type Line struct {
	Sku      string   `json:"sku" validate:"required,min=3,max=20"`
	Title    string   `json:"title" validate:"required,min=1,max=200"`
	Quantity int32    `json:"quantity" validate:"required,min=1,max=10000"`
	Price    float64  `json:"price" validate:"min=0"`
	Tags     []string `json:"tags"`
}

type Order struct {
	Reference string   `json:"reference" validate:"required,min=1,max=40"`
	Customer  Customer `json:"customer" validate:"required"`
	Shipping  Address  `json:"shipping" validate:"required"`
	Lines     []Line   `json:"lines" validate:"required,min=1,max=100,dive"`
	Priority  string   `json:"priority" validate:"omitempty,oneof=economy standard express"`
	Gift      bool     `json:"gift"`
	Note      *string  `json:"note"`
}

type Receipt struct {
	Reference string  `json:"reference"`
	Customer  string  `json:"customer"`
	Lines     int64   `json:"lines"`
	Units     int64   `json:"units"`
	Total     float64 `json:"total"`
	Status    string  `json:"status"`
}

type Message struct {
	Message string `json:"message"`
}

func accept(order *Order) Receipt {
	receipt := Receipt{Reference: order.Reference, Customer: order.Customer.Name, Status: "accepted"}
	for _, line := range order.Lines {
		receipt.Lines++
		receipt.Units += int64(line.Quantity)
		receipt.Total += float64(line.Quantity) * line.Price
	}
	return receipt
}
